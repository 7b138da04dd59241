// Training diagnostics: targets by face size, scores by IoU, where the loss comes from, and sample
// views.

import { useState } from "preact/hooks";
import {
  type Diagnostics as Figures,
  type FaceSize,
  type IouBin,
  type Job,
  jobs,
  type MetricsRow,
  type StepEvent,
} from "../../api";
import { Chart } from "../../components/chart";
import { axisEnd, epochsOf, runCurve, type Series } from "../../lib/curves";
import { integer, score, short } from "../../lib/format";

interface Props {
  job: Job;
  rows: MetricsRow[];
  step: StepEvent | undefined;
  planned: number;
  over: boolean;
}

export function Diagnostics({ job, rows, step, planned, over }: Props) {
  const latest = rows.findLast(({ diagnostics }) => diagnostics);
  if (!latest?.diagnostics) return null;
  const axis = { epochs: epochsOf(rows, step), end: axisEnd(rows, planned, over) };
  return (
    <details class="diagnostics" data-diagnostics-epoch={latest.epoch}>
      <summary>
        <h2>Diagnostics</h2>
        <span class="muted small">which faces the model learns, and where the loss comes from</span>
      </summary>
      <div class="stack">
        <div class="grid two">
          <Targets sizes={latest.diagnostics.faces} epoch={latest.epoch} />
          <ScoreByIou bins={latest.diagnostics.score_by_iou} epoch={latest.epoch} />
        </div>
        <div class="grid two">
          {chartsOf(rows, step).map((chart) => (
            <Chart key={chart.title} {...axis} {...chart} height={170} />
          ))}
        </div>
        <SampleViews job={job} rows={rows} />
      </div>
    </details>
  );
}

function Targets({ sizes, epoch }: { sizes: FaceSize[]; epoch: number }) {
  return (
    <section class="card stack tight" aria-label="Targets by face size">
      <h3>Targets by face size, epoch {epoch}</h3>
      <p class="muted small">
        Each face is assigned the anchors that should detect it. The network does not learn a size
        at which many faces have no anchor.
      </p>
      <table class="targets">
        <thead>
          <tr>
            <th scope="col">Pixels in the view</th>
            <th scope="col" class="number">
              Faces
            </th>
            <th scope="col" class="number">
              Anchors per face
            </th>
            <th scope="col" class="number">
              No anchor
            </th>
          </tr>
        </thead>
        <tbody>
          {sizes.map(({ from, to, count, positives_per_face, without_positive }) => (
            <tr key={from}>
              <th scope="row">{range(from, to)}</th>
              <td class="number">{integer(count)}</td>
              <td class="number">{positives_per_face?.toFixed(2) ?? "–"}</td>
              <td class="number">{percent(without_positive)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ScoreByIou({ bins, epoch }: { bins: IouBin[]; epoch: number }) {
  return (
    <section class="card stack tight" aria-label="Score by IoU">
      <h3>Score by IoU, epoch {epoch}</h3>
      <p class="muted small">
        Mean score of positive anchors, by the IoU of their box with the face. The bars should get
        longer from top to bottom: then the best boxes have the highest scores.
      </p>
      <table class="bars">
        <tbody>
          {bins.map(({ from, count, mean_score }) => (
            <tr key={from} title={`${integer(count)} positive anchors`}>
              <th scope="row">
                {from.toFixed(1)}–{(from + 0.1).toFixed(1)}
              </th>
              <td class="bar-cell">
                {mean_score !== null && <span style={{ width: `${mean_score * 100}%` }} />}
              </td>
              <td class="number">{mean_score?.toFixed(2) ?? "–"}</td>
              <td class="number muted">{integer(count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const SIZE_COLOURS = ["--orange", "--green", "--blue", "--violet"];

function chartsOf(rows: MetricsRow[], step: StepEvent | undefined) {
  const ofRow = (
    label: string,
    colour: string,
    value: (found: Figures) => number | null | undefined,
  ): Series =>
    runCurve(rows, undefined, { label, colour }, (row) =>
      "diagnostics" in row && row.diagnostics ? value(row.diagnostics) : null,
    );
  const sizes = rows.findLast(({ diagnostics }) => diagnostics)?.diagnostics?.faces ?? [];
  const scoreLoss = (found: Figures, grid: number) => {
    const parts = found.grids[grid];
    return parts && parts.positive + parts.background;
  };
  return [
    {
      title: "Positive anchors per face",
      help: "By the face's size in pixels of the view.",
      series: sizes.map(({ from, to }, at) =>
        ofRow(
          `${range(from, to)} px`,
          SIZE_COLOURS[at] ?? "--pink",
          ({ faces }) => faces[at]?.positives_per_face,
        ),
      ),
    },
    {
      title: "Loss by anchor grid",
      help: "Training loss at the anchors of each grid. The 16 × 16 grid detects small faces.",
      series: [
        ofRow("boxes 16 × 16", "--blue", ({ grids }) => grids[0]?.box),
        ofRow("scores 16 × 16", "--green", (found) => scoreLoss(found, 0)),
        ofRow("boxes 8 × 8", "--violet", ({ grids }) => grids[1]?.box),
        ofRow("scores 8 × 8", "--orange", (found) => scoreLoss(found, 1)),
      ],
    },
    {
      title: "Gradient norm",
      help: "Mean over the steps, before clipping. If it keeps growing, training may diverge.",
      series: [
        runCurve(
          rows,
          step,
          { label: "norm", colour: "--blue" },
          ({ train }) => train?.gradient_norm,
        ),
      ],
    },
    {
      title: "Views without a face",
      help: "Share of the training views that have no face to learn.",
      series: [ofRow("share", "--blue", ({ views_without_face }) => views_without_face)],
      format: score,
    },
  ];
}

function SampleViews({ job, rows }: { job: Job; rows: MetricsRow[] }) {
  const [wanted, setWanted] = useState<number>();
  const shown = rows.filter(({ diagnostics }) => diagnostics?.sample_views);
  const row = shown.find(({ epoch }) => epoch === wanted) ?? shown.at(-1);
  const file = row?.diagnostics?.sample_views;
  if (!row || !file || job.state === "cancelled") return null;
  return (
    <section class="card stack tight" aria-label="Sample views">
      <div class="row between">
        <h3>Views as the network saw them</h3>
        <label class="row small">
          From epoch
          <select
            value={row.epoch}
            onChange={(event) => setWanted(Number(event.currentTarget.value))}
          >
            {shown.map(({ epoch }) => (
              <option key={epoch} value={epoch}>
                {epoch}
              </option>
            ))}
          </select>
        </label>
      </div>
      <ul class="legend">
        <Key colour="#28c846">face to learn</Key>
        <Key colour="#ff8c1e">ignored: too small or cut off</Key>
        <Key colour="#ff3cdc">centre of a positive anchor</Key>
      </ul>
      <div class="sheet">
        <img
          src={jobs.artifactUrl(job.id, file)}
          alt={`Training views of epoch ${row.epoch} with their targets`}
          loading="lazy"
          decoding="async"
        />
      </div>
    </section>
  );
}

/** A colour in the picture, which is the same in light and dark mode. */
function Key({ colour, children }: { colour: string; children: string }) {
  return (
    <li>
      <span class="swatch box" style={{ color: colour }} /> {children}
    </li>
  );
}

function range(from: number, to: number | null): string {
  if (to === null) return `≥ ${short(from)}`;
  return from === 0 ? `< ${short(to)}` : `${short(from)}–${short(to)}`;
}

function percent(share: number | null): string {
  return share === null ? "–" : `${(share * 100).toFixed(1)} %`;
}
