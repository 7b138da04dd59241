// What an evaluation reports: `report.json`, as far as the dashboard shows it.

/** `"mediapipe"`, or the id of a model. */
export type ModelChoice = string;

export interface NewEvaluation {
  kind: "evaluate";
  name?: string;
  dataset_id: string;
  model_id: ModelChoice;
  compare_with?: ModelChoice;
  split?: "val" | "train" | "all";
}

export interface EvaluationReport {
  dataset: string;
  split: string;
  /** The model, then the one it is compared with, if any. */
  models: EvaluatedModel[];
}

export interface EvaluatedModel {
  /** The user's name for it. */
  model: string;
  pictures: number;
  faces: number;
  /** Mean of IoU 0.50, 0.55 … 0.95. */
  ap50_95: number | null;
  /** Faces of at least 0, 6, 12 and 24 pixels of the network's input. */
  by_min_size: SizeRow[];
  /** Faces of 6–12, 12–24, 24–48 and at least 48 pixels. */
  by_size: SizeRow[];
  /** WIDER FACE's easy, medium and hard, where the data set says which faces those are. */
  by_difficulty?: DifficultyRow[];
  by_folder: FolderRow[];
  /** Where F1 is best: advice for MediaPipe's `min_detection_confidence`. */
  best: Operating | null;
  worst: WorstPicture[];
}

export interface SizeRow {
  from_px: number;
  to_px: number | null;
  faces: number;
  ap50: number | null;
}

export interface DifficultyRow {
  difficulty: "easy" | "medium" | "hard";
  faces: number;
  ap50: number | null;
}

export interface FolderRow {
  folder: string;
  pictures: number;
  faces: number;
  ap50: number | null;
}

export interface Operating {
  threshold: number;
  precision: number;
  recall: number;
  f1: number;
}

export interface WorstPicture {
  name: string;
  missed: number;
  false_detections: number;
}
