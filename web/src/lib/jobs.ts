// What the job list and the job page have in common.

import type { Job, MetricsRow, ValMetrics } from "../api";

/** The metric that lists show. */
export const MAIN: keyof ValMetrics = "ap50_ge6";

export const KINDS: Record<Job["kind"], string> = {
  train: "training",
  evaluate: "evaluation",
  mix: "mix",
};

/** A job's progress, 0..1, including that of the current epoch. */
export function share({ kind, state, progress }: Job): number {
  if (state === "completed") return 1;
  if (kind !== "train") return progress?.steps ? progress.step / progress.steps : 0;
  if (!progress?.epochs) return 0;
  const { epoch, epochs, step, steps } = progress;
  const within = epoch > 0 && steps > 0 ? step / steps : 0;
  return Math.min(1, (Math.max(0, epoch - 1) + within) / epochs);
}

/** A job's current stage in words, such as "Epoch 3 of 12". */
export function stage({ kind, state, progress }: Job): string {
  if (state === "queued") return "Waiting for a free device";
  if (kind !== "train")
    return state === "running" ? "Measuring" : kind === "mix" ? "Mix" : "Evaluation";
  if (!progress?.epochs) return state === "running" ? "Starting" : "Not started";
  if (progress.epoch === 0)
    return state === "running" ? "Measuring the baseline" : "Baseline measured";
  return `Epoch ${progress.epoch} of ${progress.epochs}`;
}

/** The row of the epoch whose weights are in `best.*`. */
export function bestRow(rows: MetricsRow[]): MetricsRow | undefined {
  const trained = rows.filter(({ epoch }) => epoch > 0);
  return trained.findLast(({ is_best }) => is_best) ?? trained.at(-1);
}

/** Seconds from a job's start until now or until its end. */
export function elapsed({ started_at, finished_at }: Job, now: number): number | undefined {
  if (!started_at) return undefined;
  return ((finished_at ? Date.parse(finished_at) : now) - Date.parse(started_at)) / 1000;
}
