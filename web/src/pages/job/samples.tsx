// The model's detections in a few fixed validation pictures, by epoch.

import { useEffect, useRef, useState } from "preact/hooks";
import {
  datasets,
  type Job,
  jobs,
  type SamplePicture,
  type Samples,
  type ScoredBox,
} from "../../api";
import { Enlarged } from "../../components/enlarged";
import { type Layer, Picture } from "../../components/picture";

const LAYERS = [
  { kind: "truth", label: "Labelled" },
  { kind: "baseline", label: "Base model" },
  { kind: "tuned", label: "Fine-tuned" },
] as const;

type Kind = (typeof LAYERS)[number]["kind"];

interface Props {
  job: Job;
  latest: ReadonlyMap<number, Samples>;
  threshold: number;
}

export function SampleDetections({ job, latest, threshold }: Props) {
  const [wanted, setWanted] = useState<number>();
  const [hidden, setHidden] = useState<ReadonlySet<Kind>>(new Set());
  const [chosen, setChosen] = useState<number>();
  const [open, setOpen] = useState<SamplePicture>();
  const newest = latest.size ? Math.max(...latest.keys()) : undefined;
  const epoch = wanted ?? newest;
  const samples = useSamples(job.id, epoch, latest);
  const minScore = chosen ?? threshold;

  if (newest === undefined) {
    return (
      <section class="stack">
        <h2>Sample detections</h2>
        <p class="muted">The first appear with the baseline, and new ones after every epoch.</p>
      </section>
    );
  }
  const toggle = (kind: Kind) => {
    const next = new Set(hidden);
    if (!next.delete(kind)) next.add(kind);
    setHidden(next);
  };
  const layersOf = (picture: SamplePicture) => layers(picture, minScore, hidden);
  return (
    <section class="stack" data-samples-epoch={samples?.epoch}>
      <div class="row between">
        <h2>Sample detections</h2>
        <ul class="legend" aria-label="Boxes shown">
          {LAYERS.map(({ kind, label }) => (
            <li key={kind}>
              <button type="button" aria-pressed={!hidden.has(kind)} onClick={() => toggle(kind)}>
                <span class={`swatch box ${kind}`} /> {label}
              </button>
            </li>
          ))}
        </ul>
      </div>
      <div class="sliders">
        <label class="slider">
          <span>
            Epoch <b>{epoch === 0 ? "0, base model" : epoch}</b>
          </span>
          <input
            type="range"
            min={0}
            max={newest}
            value={epoch}
            disabled={newest === 0}
            onInput={(event) => {
              const value = Number(event.currentTarget.value);
              setWanted(value === newest ? undefined : value);
            }}
          />
        </label>
        {wanted !== undefined && wanted < newest && (
          <button type="button" class="link-button" onClick={() => setWanted(undefined)}>
            latest
          </button>
        )}
        <label class="slider">
          <span>
            Minimum score <b>{minScore.toFixed(2)}</b>
          </span>
          <input
            type="range"
            min={0.1}
            max={0.95}
            step={0.01}
            value={minScore}
            onInput={(event) => setChosen(Number(event.currentTarget.value))}
          />
        </label>
      </div>
      <ul class="pictures samples">
        {samples?.pictures.map((picture) => (
          <li key={picture.index} style={{ "--shape": picture.width / picture.height }}>
            <button
              type="button"
              class="open"
              onClick={() => setOpen(picture)}
              aria-label={`Enlarge ${picture.name}`}
            >
              <Picture
                src={job.dataset_id ? datasets.imageUrl(job.dataset_id, picture.index) : undefined}
                name={picture.name}
                width={picture.width}
                height={picture.height}
                layers={layersOf(picture)}
                eager
              />
            </button>
          </li>
        ))}
      </ul>
      {!job.dataset_id && (
        <p class="muted">The data set was deleted, so only the boxes are shown.</p>
      )}
      {samples === undefined && <p class="muted">There are no samples of epoch {epoch}.</p>}
      {open && (
        <Enlarged name={open.name} close={() => setOpen(undefined)}>
          <Picture
            eager
            src={job.dataset_id ? datasets.imageUrl(job.dataset_id, open.index) : undefined}
            name={open.name}
            width={open.width}
            height={open.height}
            layers={layersOf(open)}
          />
        </Enlarged>
      )}
    </section>
  );
}

/** An epoch's samples. Fetches those that no event brought; until then, returns the last ones. */
function useSamples(id: string, epoch: number | undefined, known: ReadonlyMap<number, Samples>) {
  const fetched = useRef(new Map<number, Samples | undefined>());
  const shown = useRef<Samples | undefined>(undefined);
  const [, repaint] = useState(0);
  const found = epoch === undefined ? undefined : (known.get(epoch) ?? fetched.current.get(epoch));
  const missing = epoch !== undefined && !found && !fetched.current.has(epoch);

  useEffect(() => {
    if (!missing || epoch === undefined) return;
    const controller = new AbortController();
    const keep = (samples: Samples | undefined) => {
      if (controller.signal.aborted) return;
      fetched.current.set(epoch, samples);
      repaint((n) => n + 1);
    };
    jobs.samples(id, epoch, controller.signal).then(keep, () => keep(undefined));
    return () => controller.abort();
  }, [id, epoch, missing]);

  if (found || !missing) shown.current = found;
  return shown.current;
}

function layers(picture: SamplePicture, minScore: number, hidden: ReadonlySet<Kind>): Layer[] {
  const sure = (boxes: ScoredBox[]) =>
    boxes.filter(({ score }) => score >= minScore).map(({ box }) => box);
  const all = [
    { kind: "truth", boxes: picture.ground_truth },
    { kind: "baseline", boxes: sure(picture.baseline) },
    { kind: "tuned", boxes: sure(picture.tuned) },
  ] as const;
  return all
    .filter(({ kind }) => !hidden.has(kind))
    .map(({ kind, boxes }) => ({ kind, boxes: [...boxes] }));
}
