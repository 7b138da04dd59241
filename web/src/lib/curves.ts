// Turns rows of metrics into chart series.

import type { MetricsRow, StepEvent, TrainMetrics, ValMetrics } from "../api";

export interface Series {
  label: string;
  /** A colour from the style sheet, such as `--green`. */
  colour: string;
  values: (number | null)[];
  baseline?: number | null | undefined;
  /** Hidden until the user turns it on. */
  off?: boolean;
}

export type Part = "loss" | "box" | "positive" | "background";

export const PARTS: { part: Part; label: string }[] = [
  { part: "loss", label: "Total" },
  { part: "box", label: "Boxes" },
  { part: "positive", label: "Faces" },
  { part: "background", label: "Background" },
];

/** The epochs on the axis. An unfinished epoch adds a point at its progress, such as 3.4. */
export function epochsOf(rows: MetricsRow[], step: StepEvent | undefined): number[] {
  const epochs = rows.map(({ epoch }) => epoch);
  const part = partial(rows, step);
  return part === undefined ? epochs : [...epochs, part];
}

/** The end of the axis: the last planned epoch, or while that is far away, a little ahead. */
export function axisEnd(rows: MetricsRow[], planned: number, over: boolean): number {
  const done = rows.at(-1)?.epoch ?? 0;
  if (over) return Math.max(1, done);
  return Math.max(1, Math.min(planned, Math.max(12, Math.ceil(done * 1.25))));
}

export function lossCurves(rows: MetricsRow[], step: StepEvent | undefined, part: Part): Series[] {
  const trained = (row: { train: TrainMetrics | null }) => row.train?.[part] ?? null;
  return [
    { label: "training", colour: "--blue", values: values(rows, step, trained, trained) },
    {
      label: "validation",
      colour: "--green",
      values: values(rows, step, ({ val }) => val[part]),
      baseline: rows[0]?.epoch === 0 ? rows[0].val[part] : null,
    },
  ];
}

/** The series of a validation metric, with its baseline. */
export function valCurve(
  rows: MetricsRow[],
  step: StepEvent | undefined,
  name: keyof ValMetrics,
  look: { label: string; colour: string; off?: boolean },
): Series {
  const baseline = rows[0]?.epoch === 0 ? rows[0].val[name] : null;
  return { ...look, baseline, values: values(rows, step, ({ val }) => val[name]) };
}

/** The series of a figure that training reports. */
export function runCurve(
  rows: MetricsRow[],
  step: StepEvent | undefined,
  look: { label: string; colour: string },
  of: (row: MetricsRow | StepEvent) => number | null | undefined,
): Series {
  const known = (row: MetricsRow) => (row.epoch === 0 ? null : (of(row) ?? null));
  return { ...look, values: values(rows, step, known, (step) => of(step) ?? null) };
}

function values(
  rows: MetricsRow[],
  step: StepEvent | undefined,
  of: (row: MetricsRow) => number | null,
  now: (step: StepEvent) => number | null = () => null,
): (number | null)[] {
  const all = rows.map(of);
  return step && partial(rows, step) !== undefined ? [...all, now(step)] : all;
}

function partial(rows: MetricsRow[], step: StepEvent | undefined): number | undefined {
  const done = rows.at(-1)?.epoch;
  if (
    !step ||
    done === undefined ||
    step.epoch !== done + 1 ||
    step.steps === 0 ||
    step.step === 0
  ) {
    return undefined;
  }
  return done + step.step / step.steps;
}
