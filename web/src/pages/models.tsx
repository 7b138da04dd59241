// The list of models: MediaPipe's, imported, trained and mixed ones.

import { useState } from "preact/hooks";
import { type Model, models } from "../api";
import { DropZone } from "../components/drop";
import { FileList } from "../components/files";
import { Ago, Bar, ErrorNote, Pending } from "../components/status";
import { TagList } from "../components/tags";
import { score } from "../lib/format";
import { useAction, useResource, useTitle } from "../lib/hooks";
import { navigate } from "../router";

export function ModelsPage() {
  useTitle("Models");
  const { data, error, reload } = useResource(models.list, []);
  return (
    <>
      <div class="head">
        <h1>Models</h1>
        {data && data.items.length > 1 && (
          <a class="button" href="/models/compare">
            Compare two
          </a>
        )}
      </div>
      {!data && <Pending error={error} what="models" retry={reload} />}
      <ul class="cards" aria-label="Models">
        {data?.items.map((model) => (
          <Card key={model.id} model={model} />
        ))}
      </ul>
      {data && !data.items.some(({ kind }) => kind === "trained") && (
        <p class="muted center">The models of finished jobs appear here.</p>
      )}
      <Import reload={reload} />
    </>
  );
}

export const KINDS: Record<Model["kind"], string> = {
  base: "base model",
  imported: "imported",
  mixed: "mixed",
  trained: "trained here",
};

function Card({ model }: { model: Model }) {
  const { id, name, kind, job_id, created_at, files } = model;
  const metrics = model.metrics?.best;
  return (
    <li class="card" data-model={id}>
      <div class="row between">
        <h2>
          <a href={`/models/${id}`}>{name}</a>
        </h2>
        <a class="button" href={`/models/${id}`}>
          Try it
        </a>
      </div>
      <p class="facts muted">
        <span>{KINDS[kind] ?? kind}</span>
        {job_id && <a href={`/jobs/${job_id}`}>job</a>}
        {metrics && (
          <span>
            AP ≥ 6 px <b>{score(metrics.ap50_ge6)}</b>, ≥ 12 px <b>{score(metrics.ap50_ge12)}</b>, ≥
            24 px <b>{score(metrics.ap50_ge24)}</b>
          </span>
        )}
        <TagList tags={model.tags} />
        {created_at && <Ago time={created_at} />}
      </p>
      {files.length > 0 && (
        <details>
          <summary>{files.length === 1 ? "1 file" : `${files.length} files`}</summary>
          <FileList files={files} url={(file) => models.fileUrl(id, file)} />
        </details>
      )}
    </li>
  );
}

function Import({ reload }: { reload: () => void }) {
  const [sent, setSent] = useState<{ done: number; total: number }>();
  const { start, busy, error } = useAction(async (file: File) => {
    const name = file.name.replace(/\.[^.]+$/, "");
    const progress = (done: number, total: number) => setSent({ done, total });
    try {
      const model = await models.upload(name, file, progress, new AbortController().signal);
      reload();
      navigate(`/models/${model.id}`);
    } finally {
      setSent(undefined);
    }
  });
  return (
    <section class="stack" aria-label="Import a model">
      <h2>Import weights</h2>
      <DropZone
        compact
        label="Drop a weights file here, or choose one"
        accept=".pth,.pt,.safetensors,.tflite,.onnx"
        disabled={busy}
        take={start}
      >
        <p class="muted">
          BlazeFace weights as <code>.tflite</code>, <code>.safetensors</code> or <code>.pth</code>,
          to try out or to start jobs from.
        </p>
      </DropZone>
      {sent && <Bar done={sent.done} total={sent.total} label="Upload" />}
      {error && <ErrorNote error={error} />}
    </section>
  );
}
