// Metrics before and after fine-tuning.

import type { ComponentChildren } from "preact";
import type { MetricsRow, ValMetrics } from "../../api";
import { change, score } from "../../lib/format";

const FIGURES: { name: keyof ValMetrics; label: string; help: string }[] = [
  {
    name: "ap50_ge6",
    label: "AP, faces ≥ 6 px",
    help: "Average precision at IoU 0.5; pixels of the 128-pixel input",
  },
  {
    name: "ap50_ge12",
    label: "AP, faces ≥ 12 px",
    help: "Average precision at IoU 0.5; pixels of the 128-pixel input",
  },
  {
    name: "ap50_ge24",
    label: "AP, faces ≥ 24 px",
    help: "Average precision at IoU 0.5; pixels of the 128-pixel input",
  },
  { name: "val_iou", label: "Mean IoU", help: "Mean IoU of the decoded boxes at positive anchors" },
  { name: "best_f1", label: "Best F1", help: "At the best score threshold" },
];

interface JobProps {
  baseline: MetricsRow | undefined;
  best: MetricsRow | undefined;
  over: boolean;
  threshold: number | undefined;
}

/** The metrics of a training job. */
export function JobFigures({ baseline, best, over, threshold }: JobProps) {
  if (!baseline) return null;
  return (
    <Figures before={baseline.val} after={best?.val} threshold={threshold}>
      {best
        ? `Base model → best model${over ? "" : " so far"} (epoch ${best.epoch}), on the whole validation set.`
        : "The base model on the whole validation set. The fine-tuned model's metrics appear after the first epoch."}
    </Figures>
  );
}

interface Props {
  before: ValMetrics;
  after: ValMetrics | undefined;
  /** The recommended threshold of the delivered model, once it is known. */
  threshold: number | undefined;
  children: ComponentChildren;
}

export function Figures({ before, after, threshold, children }: Props) {
  return (
    <section aria-label="Before and after">
      <dl class="card figures before-after">
        {FIGURES.map(({ name, label, help }) => (
          <Figure
            key={name}
            name={name}
            label={label}
            help={help}
            before={before[name]}
            after={after?.[name]}
          />
        ))}
      </dl>
      <p class="muted small under">
        {children}
        {threshold !== undefined &&
          ` Recommended min_detection_confidence: ${threshold.toFixed(2)}.`}
      </p>
    </section>
  );
}

interface FigureProps {
  name: string;
  label: string;
  help: string;
  before: number | null;
  after: number | null | undefined;
}

export function Figure({ name, label, help, before, after }: FigureProps) {
  const gain = before != null && after != null ? after - before : undefined;
  return (
    <div title={help} data-figure={name}>
      <dt>{label}</dt>
      <dd>
        {after === undefined ? (
          score(before)
        ) : (
          <>
            <span class="before">{score(before)} →</span> {score(after)}
          </>
        )}
        {gain !== undefined && <small class={gain < 0 ? "loss" : "gain"}>{change(gain)}</small>}
      </dd>
    </div>
  );
}
