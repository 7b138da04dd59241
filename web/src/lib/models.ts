import type { Model, ValMetrics } from "../api";

/** A model's measures over its validation set, where there are any. */
export function metricsOf({ metrics }: Model): Partial<ValMetrics> | undefined {
  if (typeof metrics !== "object" || metrics === null) return undefined;
  const outer = metrics as Record<string, unknown>;
  for (const inner of [
    outer,
    outer.val,
    outer.best,
    outer.tuned,
    (outer.best as Model | undefined)?.metrics,
  ]) {
    if (typeof inner === "object" && inner !== null && "ap50_ge6" in inner) {
      return inner as Partial<ValMetrics>;
    }
  }
  return undefined;
}
