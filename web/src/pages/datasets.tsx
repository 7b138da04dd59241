// The list of data sets, and the upload of new ones.

import { useRef, useState } from "preact/hooks";
import { type Dataset, datasets } from "../api";
import { DropZone } from "../components/drop";
import { Ago, Badge, Bar, ErrorNote, Pending } from "../components/status";
import { bytes, integer, plural } from "../lib/format";
import { useAction, useResource, useTitle } from "../lib/hooks";
import { navigate } from "../router";

export function DatasetsPage() {
  useTitle("Data sets");
  const { data, error, reload } = useResource(datasets.list, [], ({ items }) =>
    items.some(({ status }) => status === "importing") ? 1000 : 15_000,
  );
  return (
    <>
      <div class="head">
        <h1>Data sets</h1>
      </div>
      <Upload />
      {!data && <Pending error={error} what="data sets" retry={reload} />}
      {data?.items.length === 0 && (
        <p class="muted center">No data sets yet. Those you upload appear here.</p>
      )}
      {data && data.items.length > 0 && (
        <ul class="cards" aria-label="Data sets">
          {data.items.map((dataset) => (
            <Card key={dataset.id} dataset={dataset} />
          ))}
        </ul>
      )}
    </>
  );
}

function Card({ dataset }: { dataset: Dataset }) {
  const { id, name, status, progress, error, created_at } = dataset;
  return (
    <li class="card link" data-dataset={id}>
      <div class="row between">
        <h2>
          <a href={`/datasets/${id}`}>{name}</a>
        </h2>
        <Badge state={status} />
      </div>
      {status === "importing" && <Importing progress={progress} />}
      {status === "failed" && <p class="error-text">{error}</p>}
      {status === "ready" && (
        <p>
          {plural(dataset.images ?? 0, "picture")}, {plural(dataset.faces ?? 0, "face")}
          <span class="muted">
            {" "}
            · {integer(dataset.splits?.train?.images)} for training,{" "}
            {integer(dataset.splits?.val?.images)} for validation
            {dataset.splits?.test?.images ? `, ${integer(dataset.splits.test.images)} for testing` : ""}
          </span>
        </p>
      )}
      {created_at && (
        <p class="muted small">
          <Ago time={created_at} />
        </p>
      )}
    </li>
  );
}

export function Importing({ progress }: { progress: Dataset["progress"] }) {
  if (!progress?.total) return <p class="muted">Reading the archive …</p>;
  const { done, total } = progress;
  return (
    <div class="stack tight">
      <Bar done={done} total={total} label="Import" />
      <p class="muted small">
        {integer(done)} of {plural(total, "picture")} decoded
      </p>
    </div>
  );
}

interface Labels {
  boxes?: string;
  units?: string;
  face_categories?: string;
}

/** The meaning of the labels; needed only if an import asks for it. */
function LabelOptions({ labels, change }: { labels: Labels; change: (labels: Labels) => void }) {
  const set = (name: keyof Labels, value: string) => {
    const { [name]: _, ...others } = labels;
    change(value ? { ...others, [name]: value } : others);
  };
  return (
    <details>
      <summary>Label format (needed only if an import asks for it)</summary>
      <div class="row">
        <label>
          Boxes{" "}
          <select onChange={(event) => set("boxes", event.currentTarget.value)}>
            <option value="">as named by the columns</option>
            <option value="xywh">left, top, width, height</option>
            <option value="xyxy">left, top, right, bottom</option>
            <option value="cxcywh">centre, width, height</option>
          </select>
        </label>
        <label>
          Units{" "}
          <select onChange={(event) => set("units", event.currentTarget.value)}>
            <option value="">detected from the numbers</option>
            <option value="pixels">pixels</option>
            <option value="fractions">fractions of the picture</option>
          </select>
        </label>
        <label>
          Face categories{" "}
          <input
            type="text"
            placeholder="face, head"
            onInput={(event) => set("face_categories", event.currentTarget.value.trim())}
          />
        </label>
      </div>
    </details>
  );
}

function Upload() {
  const [sent, setSent] = useState<{ name: string; done: number; total: number }>();
  const [labels, setLabels] = useState<Labels>({});
  const abort = useRef<AbortController | undefined>(undefined);
  const { start, busy, error } = useAction(async (file: File) => {
    abort.current = new AbortController();
    setSent({ name: file.name, done: 0, total: file.size });
    const name = file.name.replace(/\.(zip|tar|tgz|tar\.gz)$/i, "");
    const progress = (done: number, total: number) => setSent({ name: file.name, done, total });
    try {
      const { id } = await datasets.upload({ name, ...labels }, file, progress, abort.current.signal);
      navigate(`/datasets/${id}`);
    } finally {
      setSent(undefined);
    }
  });
  return (
    <section aria-label="Upload a data set" class="stack">
      <DropZone
        label="Drop an archive here, or choose a file"
        accept=".zip,.tar,.tgz,.gz,application/zip,application/x-tar,application/gzip"
        disabled={busy}
        take={start}
      >
        <p class="muted">
          A zip, tar or tar.gz archive of pictures and their labels: COCO JSON, Pascal VOC XML, YOLO
          text, WIDER FACE text, an export of CVAT, LabelMe or Label Studio, RetinaFace or SCRFD text,
          300-W points, or a CSV file with the columns <code>image_path,x1,y1,w,h</code> (in pixels, from
          the top-left corner).
        </p>
      </DropZone>
      <LabelOptions labels={labels} change={setLabels} />
      {sent && (
        <div class="card stack tight" role="status">
          <div class="row between">
            <span>
              Uploading <b>{sent.name}</b>
            </span>
            <button type="button" class="small" onClick={() => abort.current?.abort()}>
              Cancel
            </button>
          </div>
          <Bar done={sent.done} total={sent.total} label="Upload" />
          <p class="muted small">
            {bytes(sent.done)} of {bytes(sent.total)}
          </p>
        </div>
      )}
      {error && <ErrorNote error={error} />}
    </section>
  );
}
