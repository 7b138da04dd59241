// A model's provenance, name and tags, and its downloads.

import { useState } from "preact/hooks";
import { type Model, models } from "../api";
import { ConfirmButton } from "../components/confirm";
import { FileList } from "../components/files";
import { ErrorNote, Pending } from "../components/status";
import { useAction, useResource } from "../lib/hooks";
import { navigate } from "../router";

export function Provenance({ model, renamed }: { model: Model; renamed: () => void }) {
  const { data, error, reload } = useResource((signal) => models.find(model.id, signal), [model.id]);
  if (!data) return <Pending error={error} what="the provenance" retry={reload} />;
  const { parent_id, job, dataset, licence } = data.provenance;
  return (
    <section class="card stack tight" aria-label="Provenance">
      <h2>Provenance</h2>
      <dl class="facts">
        <dt>Network</dt>
        <dd>{data.variant === "back" ? "back camera, 256×256" : "short range, 128×128"}</dd>
        {parent_id && (
          <>
            <dt>Based on</dt>
            <dd>
              <a href={`/models/${parent_id}`}>
                {parent_id === "base" ? "MediaPipe’s model" : parent_id}
              </a>
            </dd>
          </>
        )}
        {job && (
          <>
            <dt>Job</dt>
            <dd>
              <a href={`/jobs/${job.id}`}>{job.name}</a>
            </dd>
          </>
        )}
        {dataset && (
          <>
            <dt>Data set</dt>
            <dd>
              <a href={`/datasets/${dataset.id}`}>{dataset.name}</a>{" "}
              <code title={dataset.content_hash ?? ""}>{dataset.content_hash?.slice(0, 12)}</code>
            </dd>
          </>
        )}
        <dt>Licence</dt>
        <dd>{licence}</dd>
      </dl>
      {model.kind !== "base" && <Description key={model.id} model={data} renamed={renamed} />}
    </section>
  );
}

function Description({ model, renamed }: { model: Model; renamed: () => void }) {
  const [name, setName] = useState(model.name);
  const [text, setText] = useState(model.tags.join(", "));
  const { start, busy, error } = useAction(async () => {
    const tags = text.split(",").map((tag) => tag.trim());
    const changed = await models.describe(model.id, {
      name,
      tags: tags.filter((tag) => tag !== ""),
    });
    setText(changed.tags.join(", "));
    setName(changed.name);
    renamed();
  });
  return (
    <div class="row">
      <label for="name">Name</label>
      <input
        id="name"
        value={name}
        maxLength={200}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <label for="tags">Tags</label>
      <input id="tags" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <button type="button" disabled={busy} onClick={() => void start()}>
        Save
      </button>
      {(model.kind === "imported" || model.kind === "mixed") && (
        <ConfirmButton
          label="Delete"
          class="danger"
          question={`Delete ${model.name}?`}
          detail="Its files are deleted too."
          verb="Delete"
          act={async () => {
            await models.remove(model.id);
            navigate("/models");
          }}
        />
      )}
      {error && <ErrorNote error={error} />}
    </div>
  );
}

/** Stored files have sizes and checksums; the others are written on request. */
export function Downloads({ model }: { model: Model }) {
  const there = model.files.map((file) => (typeof file === "string" ? file : file.name));
  const others = model.downloads.filter((name) => !there.includes(name));
  return (
    <section class="card stack tight" aria-label="Files">
      <h2>Files</h2>
      <FileList
        files={[...model.files, ...others]}
        url={(file) => models.fileUrl(model.id, file)}
      />
    </section>
  );
}
