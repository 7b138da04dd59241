// Shows a model's detections in a picture that the user drops.

import { useEffect, useRef, useState } from "preact/hooks";
import { type DetectedFace, type Detections, type Model, models } from "../api";
import { DropZone } from "../components/drop";
import { Boxes } from "../components/picture";
import { ErrorNote, Loading } from "../components/status";
import { plural, short } from "../lib/format";
import { useAction } from "../lib/hooks";

/** One request gets all detections that can be shown; the slider then filters them. */
const LOWEST = 0.1;

interface Result {
  bitmap: ImageBitmap;
  found: Detections;
  /** The detections of MediaPipe's model. */
  base: Detections | undefined;
}

export function TryIt({ model, advice }: { model: Model; advice: number }) {
  const [result, setResult] = useState<Result>();
  const [threshold, setThreshold] = useState(advice);
  const [compare, setCompare] = useState(true);
  const isBase = model.kind === "base";
  const { start, busy, error } = useAction(async (file: File) => {
    setResult(undefined);
    const [found, base, bitmap] = await Promise.all([
      models.detect(model.id, file, LOWEST),
      isBase ? undefined : models.detect("base", file, LOWEST),
      createImageBitmap(file),
    ]);
    setResult({ bitmap, found, base });
  });
  return (
    <section class="card stack" aria-label="Try it">
      <div class="row between">
        <h2>Try it</h2>
        {result && (
          <Controls {...{ threshold, setThreshold, compare, setCompare }} comparable={!isBase} />
        )}
      </div>
      {busy && <Loading what="detections" />}
      {error && <ErrorNote error={error} />}
      {result && <Shown result={result} threshold={threshold} compare={compare && !isBase} />}
      <DropZone
        compact
        label={result ? "Try another picture" : "Drop a picture here, or choose one"}
        accept="image/*"
        disabled={busy}
        take={start}
      >
        <p class="muted">It is sent only to this server, and is not stored.</p>
      </DropZone>
    </section>
  );
}

interface ControlsProps {
  threshold: number;
  setThreshold: (value: number) => void;
  compare: boolean;
  setCompare: (value: boolean) => void;
  comparable: boolean;
}

function Controls({ threshold, setThreshold, compare, setCompare, comparable }: ControlsProps) {
  return (
    <div class="sliders">
      {comparable && (
        <label class="switch">
          <input
            type="checkbox"
            checked={compare}
            onChange={(event) => setCompare(event.currentTarget.checked)}
          />
          <span>
            <span class="swatch box baseline" /> MediaPipe's model
          </span>
        </label>
      )}
      <label class="slider">
        <span>
          Minimum score <b>{threshold.toFixed(2)}</b>
        </span>
        <input
          type="range"
          min={LOWEST}
          max={0.99}
          step={0.01}
          value={threshold}
          onInput={(event) => setThreshold(Number(event.currentTarget.value))}
        />
      </label>
    </div>
  );
}

function Shown({
  result,
  threshold,
  compare,
}: {
  result: Result;
  threshold: number;
  compare: boolean;
}) {
  const { bitmap, found, base } = result;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const target = canvas.current;
    if (!target) return;
    [target.width, target.height] = [bitmap.width, bitmap.height];
    target.getContext("2d")?.drawImage(bitmap, 0, 0);
  }, [bitmap]);
  const sure = (faces: DetectedFace[]) => faces.filter(({ score }) => score >= threshold);
  const [faces, others] = [sure(found.faces), compare && base ? sure(base.faces) : []];
  const { width, height } = found;
  const layers = [
    ...(compare ? [{ kind: "baseline", boxes: others.map(({ box }) => box) }] : []),
    { kind: "tuned", boxes: faces.map(({ box }) => box) },
  ];
  return (
    <>
      <div
        class="picture tried"
        style={{ aspectRatio: `${width} / ${height}`, maxWidth: `calc(75vh * ${width / height})` }}
      >
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Your picture with ${plural(faces.length, "face")} found`}
        />
        <Boxes width={width} height={height} layers={layers} />
        {faces.map((face) => (
          <Face key={face.box.join()} face={face} />
        ))}
      </div>
      <p data-faces={faces.length}>
        {faces.length === 0 ? "No face" : plural(faces.length, "face")} at this score
        {compare && <> (MediaPipe's model: {others.length})</>}
        <span class="muted"> · {short(found.latency_ms)} ms</span>
      </p>
    </>
  );
}

function Face({ face: { box, score, keypoints } }: { face: DetectedFace }) {
  const [top, left] = box;
  const percent = (share: number) => `${(Math.max(0, share) * 100).toFixed(2)}%`;
  return (
    <>
      <span class="tag" style={{ left: percent(left), top: percent(top) }}>
        {score.toFixed(2)}
      </span>
      {keypoints.map(([x, y]) => (
        <span key={`${x},${y}`} class="keypoint" style={{ left: percent(x), top: percent(y) }} />
      ))}
    </>
  );
}
