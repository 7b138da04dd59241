// The request bodies that the dashboard sends.

import type { SplitChoice } from "./types";

export type ParamValue = string | number | boolean | null | Params;
export interface Params {
  [name: string]: ParamValue;
}

export interface NewJob {
  kind: "train";
  name?: string;
  dataset_id: string;
  params: Params;
}

/** `"mediapipe"` or a model's ID. */
export type ModelChoice = string;

export interface NewEvaluation {
  kind: "evaluate";
  name?: string;
  dataset_id: string;
  model_id: ModelChoice;
  compare_with?: ModelChoice;
  split?: SplitChoice;
}
