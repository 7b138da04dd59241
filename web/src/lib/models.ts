// Facts about models.

import type { Model } from "../api";

/** The `min_detection_confidence` to use with a model, if it was measured. */
export function recommendedThreshold({ metrics }: Pick<Model, "metrics">): number | undefined {
  return metrics?.recommended_threshold ?? metrics?.best?.best_threshold ?? undefined;
}
