// The page of a data set: counts, face sizes, import report and pictures.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, type Dataset, type DatasetImage, datasets, type Split } from "../api";
import { ConfirmButton } from "../components/confirm";
import { Picture } from "../components/picture";
import { FaceSizeBars, ImportReport } from "../components/report";
import { Ago, Badge, ErrorNote, Loading, Pending } from "../components/status";
import { integer } from "../lib/format";
import { useResource, useTitle } from "../lib/hooks";
import { navigate } from "../router";
import { Importing } from "./datasets";

const PAGE = 24;

export function DatasetPage({ id }: { id: string }) {
  const { data, error, reload } = useResource(
    (signal) => datasets.find(id, signal),
    [id],
    ({ status }) => (status === "importing" ? 500 : undefined),
  );
  useTitle(data?.name);
  if (!data) return <Pending error={error} what="the data set" retry={reload} />;
  const isImporting = data.status === "importing";
  return (
    <>
      <p class="crumbs">
        <a href="/datasets">Data sets</a>
      </p>
      <div class="head">
        <div>
          <div class="row">
            <h1>{data.name}</h1>
            <Badge state={data.status} />
          </div>
          <p class="muted">{data.created_at && <Ago time={data.created_at} />}</p>
        </div>
        <div class="row">
          <ConfirmButton
            label={isImporting ? "Cancel import" : "Delete"}
            question={isImporting ? `Cancel the import of ${data.name}?` : `Delete ${data.name}?`}
            detail={
              isImporting
                ? "The uploaded archive is deleted from the server."
                : "Its pictures are deleted from the server. Models trained on them are kept."
            }
            verb={isImporting ? "Cancel import" : "Delete"}
            act={async () => {
              await datasets.remove(id);
              navigate("/datasets");
            }}
          />
          {data.status === "ready" && (
            <a class="button primary" href={`/jobs/new?dataset=${id}`}>
              Fine-tune on this
            </a>
          )}
        </div>
      </div>
      {isImporting && (
        <section class="card">
          <Importing progress={data.progress} />
        </section>
      )}
      {data.status === "failed" && (
        <div class="note bad" role="alert">
          <div>
            <strong>The import failed</strong>
            <p>{data.error}</p>
          </div>
        </div>
      )}
      {data.same_as && (
        <div class="note">
          <p>
            This data set has the same pictures and boxes as{" "}
            <a href={`/datasets/${data.same_as}`}>an earlier one</a>.
          </p>
        </div>
      )}
      {data.status === "ready" && <Counts dataset={data} />}
      {data.report && <ImportReport id={id} report={data.report} />}
      {data.status === "ready" && <Export id={id} />}
      {data.status === "ready" && <Pictures dataset={data} />}
    </>
  );
}

function Counts({ dataset }: { dataset: Dataset }) {
  const { splits } = dataset;
  const figures = [
    { label: "Pictures", value: dataset.images },
    { label: "Faces", value: dataset.faces },
    { label: "For training", value: splits?.train?.images },
    { label: "For validation", value: splits?.val?.images },
    ...(splits?.test?.images ? [{ label: "For testing", value: splits.test.images }] : []),
  ];
  return (
    <section class="grid two">
      <dl class="card figures four">
        {figures.map(({ label, value }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{integer(value)}</dd>
          </div>
        ))}
      </dl>
      {dataset.face_sizes && <FaceSizeBars sizes={dataset.face_sizes} />}
    </section>
  );
}

const FORMATS = {
  coco: "COCO JSON",
  yolo: "YOLO text",
  voc: "Pascal VOC XML",
  csv: "CSV",
  wider: "WIDER FACE text",
};

function Export({ id }: { id: string }) {
  const [format, setFormat] = useState("coco");
  const [pictures, setPictures] = useState<"cached" | "none">("cached");
  return (
    <section class="card row" aria-label="Export">
      <h2>Export</h2>
      <select
        aria-label="Format"
        value={format}
        onChange={(event) => setFormat(event.currentTarget.value)}
      >
        {Object.entries(FORMATS).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      <select
        aria-label="Pictures"
        value={pictures}
        onChange={(event) => setPictures(event.currentTarget.value as "cached" | "none")}
      >
        <option value="cached">with pictures of 256 pixels</option>
        <option value="none">labels for the original pictures</option>
      </select>
      <a class="button" href={datasets.exportUrl(id, format, pictures)} download>
        Download zip
      </a>
    </section>
  );
}

const SPLITS = { all: "All", train: "Training", val: "Validation", test: "Test" } as const;

function Pictures({ dataset: { id, splits } }: { dataset: Dataset }) {
  const [split, setSplit] = useState<Split | undefined>();
  const [images, setImages] = useState<DatasetImage[]>([]);
  const [cursor, setCursor] = useState<string | null | undefined>(undefined);
  const [busy, setBusy] = useState(true);
  const [error, setError] = useState<ApiError>();

  const load = async (after: string | undefined, signal?: AbortSignal) => {
    setBusy(true);
    setError(undefined);
    try {
      const query = { limit: PAGE, ...(split && { split }), ...(after && { cursor: after }) };
      const page = await datasets.images(id, query, signal);
      setImages((before) => (after ? [...before, ...page.items] : page.items));
      setCursor(page.next_cursor);
    } catch (error) {
      if (!signal?.aborted) setError(error as ApiError);
    } finally {
      if (!signal?.aborted) setBusy(false);
    }
  };

  // `load` depends only on `id` and `split`
  useEffect(() => {
    const controller = new AbortController();
    void load(undefined, controller.signal);
    return () => controller.abort();
  }, [id, split]);

  return (
    <section class="stack">
      <div class="row between">
        <h2>Pictures</h2>
        <fieldset class="segments">
          <legend class="hidden">Which pictures</legend>
          {([undefined, "train", "val", "test"] as const)
            .filter((value) => value !== "test" || splits?.test?.images)
            .map((value) => (
            <label key={value ?? "all"}>
              <input
                type="radio"
                name="split"
                checked={split === value}
                onChange={() => setSplit(value)}
              />
              <span>{SPLITS[value ?? "all"]}</span>
            </label>
          ))}
        </fieldset>
      </div>
      <ul class="pictures">
        {images.map((image) => (
          <li key={image.index} style={{ "--shape": image.width / image.height }}>
            <Picture
              src={datasets.imageUrl(id, image.index)}
              name={image.name}
              width={image.width}
              height={image.height}
              layers={[{ kind: "truth", boxes: image.faces }]}
            />
            <p class="caption" title={image.name}>
              <span>{image.name.split("/").at(-1)}</span>
              <span class="muted">
                {image.faces.length === 0 ? "no face" : integer(image.faces.length)}
              </span>
            </p>
          </li>
        ))}
      </ul>
      {busy && <Loading what="pictures" />}
      {error && <ErrorNote error={error} />}
      {cursor && !busy && (
        <p class="center">
          <button type="button" onClick={() => load(cursor)}>
            Show more
          </button>
        </p>
      )}
    </section>
  );
}
