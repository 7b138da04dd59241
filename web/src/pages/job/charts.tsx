// The charts of a job. All share one cursor.

import { useMemo, useState } from "preact/hooks";
import type { MetricsRow, StepEvent } from "../../api";
import { Chart } from "../../components/chart";
import {
  axisEnd,
  epochsOf,
  lossCurves,
  PARTS,
  type Part,
  runCurve,
  valCurve,
} from "../../lib/curves";
import { saveAs } from "../../lib/download";
import { score } from "../../lib/format";

interface Props {
  rows: MetricsRow[];
  step: StepEvent | undefined;
  planned: number;
  over: boolean;
  csvUrl: string;
  name: string;
}

export function Charts({ rows, step, planned, over, csvUrl, name }: Props) {
  const latest = rows.at(-1);
  // Rows are replaced, never modified, so these three change whenever there is something new.
  const curves = useMemo(() => curvesOf(rows, step), [rows.length, latest, step]);
  const axis = { epochs: curves.epochs, end: axisEnd(rows, planned, over) };
  return (
    <section class="stack" aria-label="Charts">
      <div class="row between">
        <h2>Training</h2>
        <span class="row muted small">
          <span class="dashed" aria-hidden="true" /> base model
          <button
            type="button"
            class="small"
            onClick={() => saveAs(csvUrl, "text/csv", `${name || "job"}.csv`)}
          >
            CSV
          </button>
        </span>
      </div>
      <div class="grid two">
        <LossChart rows={rows} step={step} axis={axis} />
        <Chart
          {...axis}
          title="Average precision"
          help="At IoU 0.5 over the validation set, by face size in pixels of the 128-pixel input."
          series={curves.precision}
          format={score}
          height={230}
        />
      </div>
      <div class="grid three">
        {curves.small.map((chart) => (
          <Chart key={chart.title} {...axis} {...chart} height={150} />
        ))}
      </div>
    </section>
  );
}

interface LossProps {
  rows: MetricsRow[];
  step: StepEvent | undefined;
  axis: { epochs: number[]; end: number };
}

function LossChart({ rows, step, axis }: LossProps) {
  const [part, setPart] = useState<Part>("loss");
  const series = useMemo(() => lossCurves(rows, step, part), [rows, step, part]);
  return (
    <Chart
      {...axis}
      title="Loss"
      help="Training and validation loss; lower is better."
      series={series}
      height={230}
    >
      <fieldset class="segments small">
        <legend class="hidden">Part of the loss</legend>
        {PARTS.map((one) => (
          <label key={one.part}>
            <input
              type="radio"
              name="part"
              checked={part === one.part}
              onChange={() => setPart(one.part)}
            />
            <span>{one.label}</span>
          </label>
        ))}
      </fieldset>
    </Chart>
  );
}

function curvesOf(rows: MetricsRow[], step: StepEvent | undefined) {
  const val = (name: Parameters<typeof valCurve>[2], label: string, colour: string, off = false) =>
    valCurve(rows, step, name, { label, colour, off });
  return {
    epochs: epochsOf(rows, step),
    precision: [
      val("ap50_ge6", "≥ 6 px", "--green"),
      val("ap50_ge12", "≥ 12 px", "--blue"),
      val("ap50_ge24", "≥ 24 px", "--violet"),
      val("ap50", "all sizes", "--orange", true),
      val("ap50_95", "0.5–0.95", "--pink", true),
    ],
    small: [
      {
        title: "Box overlap",
        help: "Mean IoU of the decoded boxes at positive anchors.",
        series: [val("val_iou", "mean IoU", "--green")],
        format: score,
      },
      {
        title: "Precision and recall",
        help: "At a score threshold of 0.5; F1 is their harmonic mean.",
        series: [
          val("precision", "precision", "--blue"),
          val("recall", "recall", "--violet"),
          val("f1", "F1", "--green"),
        ],
        format: score,
      },
      {
        title: "Anchors classified correctly",
        help: "Positive anchors that score at least 0.5, and background anchors that score less.",
        series: [
          val("positive_accuracy", "faces", "--green"),
          val("background_accuracy", "background", "--blue"),
        ],
        format: score,
      },
      {
        title: "Keypoint error",
        help: "Mean distance of keypoints from the base model's, in face widths; lower is better.",
        series: [val("keypoint_nme", "error", "--green")],
        format: score,
      },
      {
        title: "Learning rate",
        help: "Learning rate of the last step.",
        series: [runCurve(rows, step, { label: "rate", colour: "--blue" }, ({ lr }) => lr)],
      },
      {
        title: "Speed",
        help: "Training views per second.",
        series: [
          runCurve(
            rows,
            step,
            { label: "images/s", colour: "--blue" },
            ({ images_per_s }) => images_per_s,
          ),
        ],
      },
    ],
  };
}
