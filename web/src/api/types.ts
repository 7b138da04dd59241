// What the server answers. Fields that a server may leave out are optional.

/** `[ymin, xmin, ymax, xmax]` in fractions of the picture. */
export type Rect = [number, number, number, number];

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

export type DatasetStatus = "importing" | "ready" | "failed";

export interface SplitCounts {
  images: number;
  faces: number;
}

export interface Dataset {
  id: string;
  name: string;
  status: DatasetStatus;
  error?: string | null;
  content_hash?: string | null;
  /** An older data set with the same pictures and boxes. */
  same_as?: string | null;
  images?: number | null;
  faces?: number | null;
  negatives?: number | null;
  splits?: Partial<Record<Split, SplitCounts>> | null;
  face_sizes?: FaceSizes[] | null;
  report?: Report | null;
  progress?: { done: number; total: number } | null;
  created_at?: string | null;
}

/** Faces of `from` to below `to` pixels of the network's input. */
export interface FaceSizes {
  from: number;
  to: number | null;
  count: number;
}

/** What an import found wrong: the first in full, all of them counted by kind. */
export interface Report {
  problems: { file: string; row?: number; reason: string }[];
  counts: Record<string, number>;
  notes: string[];
}

export type Split = "train" | "val";

export interface DatasetImage {
  index: number;
  name: string;
  split: Split;
  width: number;
  height: number;
  faces: Rect[];
}

export type JobState =
  | "queued"
  | "running"
  | "pausing"
  | "paused"
  | "stopping"
  | "cancelling"
  | "completed"
  | "cancelled"
  | "failed";

export interface Progress {
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  images_per_s?: number | null | undefined;
  eta_s?: number | null | undefined;
}

/** A change of a job's state; a restart when both are the same. */
export interface Transition {
  time: string;
  from: JobState | null;
  to: JobState;
  actor: "user" | "server" | "worker";
  reason: string;
}

export type JobVerb = "pause" | "resume" | "stop" | "cancel" | "front" | "extend" | "delete";

export interface Job {
  id: string;
  kind: "train" | "evaluate" | "mix";
  name: string;
  state: JobState;
  /** Nothing changes it any more unless a user asks for it. */
  is_final: boolean;
  /** What a user can do with it now. */
  verbs: JobVerb[];
  /** `null` when the data set was deleted since, and for a mix that has none. */
  dataset_id: string | null;
  params: Params;
  priority?: number;
  device?: string | null;
  progress?: Progress | null;
  best?: { epoch: number; metrics: ValMetrics } | null;
  baseline?: ValMetrics | null;
  /** The model that a completed job has made. */
  model_id?: string | null;
  error?: string | null;
  /** What kind of failure that is. */
  failure?: string | null;
  /** Why the server has paused it by itself. */
  hold?: "disk_full" | "disk_error" | null;
  restarts?: number;
  /** Batches are this many times smaller than was asked for. */
  batch_divisor?: number;
  not_before?: string | null;
  time_limit_s?: number | null;
  created_at: string;
  started_at?: string | null;
  finished_at?: string | null;
}

export type ParamValue = string | number | boolean | null | Params;
export interface Params {
  [name: string]: ParamValue;
}

export interface TrainMetrics {
  loss: number;
  box: number;
  positive: number;
  background: number;
  positives_per_face?: number;
  gradient_norm?: number;
}

export interface ValMetrics {
  loss: number;
  box: number;
  positive: number;
  background: number;
  positive_accuracy: number | null;
  background_accuracy: number | null;
  val_iou: number | null;
  ap50: number | null;
  ap50_95: number | null;
  ap50_ge6: number | null;
  ap50_ge12: number | null;
  ap50_ge24: number | null;
  precision: number | null;
  recall: number | null;
  f1: number | null;
  best_threshold: number | null;
  best_f1: number | null;
  keypoint_nme: number | null;
}

/** Faces of `from` to below `to` pixels of the training view, and the anchors they got. */
export interface FaceSizeTargets extends FaceSizes {
  positives_per_face: number | null;
  without_positive: number | null;
}

/** What one grid's anchors add to the loss. */
export interface GridLoss {
  side: number;
  share_of_positives: number | null;
  box: number;
  positive: number;
  background: number;
}

/** Positive anchors whose box has an IoU of `from` to a tenth more. */
export interface IouBin {
  from: number;
  count: number;
  mean_score: number | null;
}

/** What an epoch of training looked like from inside. */
export interface Diagnostics {
  faces: FaceSizeTargets[];
  /** 16 × 16 first. */
  grids: GridLoss[];
  score_by_iou: IouBin[];
  views_without_face: number;
  /** A file of the job's artifacts. */
  sample_views: string | null;
}

/** Epoch 0 is the base model. */
export interface MetricsRow {
  epoch: number;
  step: number;
  time: string;
  lr: number;
  images_per_s: number;
  seconds?: number;
  is_best?: boolean;
  train: TrainMetrics | null;
  diagnostics?: Diagnostics | null;
  val: ValMetrics;
}

export interface StepEvent extends Progress {
  lr: number;
  train: TrainMetrics;
}

export interface ScoredBox {
  box: Rect;
  score: number;
}

export interface SamplePicture {
  index: number;
  name: string;
  width: number;
  height: number;
  ground_truth: Rect[];
  baseline: ScoredBox[];
  tuned: ScoredBox[];
}

export interface Samples {
  epoch: number;
  pictures: SamplePicture[];
}

export interface Artifact {
  name: string;
  size_bytes: number;
  sha256: string;
}

export interface LogLine {
  timestamp?: string;
  time?: string;
  level?: string;
  message?: string;
  fields?: Record<string, unknown>;
  [field: string]: unknown;
}

/** How much of the base model is in a result. */
export interface Mixing {
  retain: number;
  reason: "requested" | "keeps_every_size" | "loses_least";
  /** What each mix measured that was tried. */
  curve?: { retain: number; val: ValMetrics }[];
}

export interface Model {
  id: string;
  name: string;
  kind: "base" | "imported" | "trained" | "mixed";
  job_id?: string | null;
  files: (Artifact | string)[];
  /** Of the best epoch, and of the base model before it; only where it was trained here. */
  metrics?: {
    epoch: number | null;
    best: ValMetrics;
    baseline: ValMetrics | null;
    retention?: Mixing | null;
  } | null;
  /** `short`: 128×128, `back`: 256×256. */
  variant: "short" | "back";
  tags: string[];
  /** Every name of a file that can be downloaded, those too that are only written then. */
  downloads: string[];
  created_at?: string | null;
}

/** A model, and where it comes from. */
export interface WholeModel extends Model {
  provenance: {
    parent_id: string | null;
    job: { id: string; name: string; finished_at: string | null } | null;
    dataset: { id: string; name: string; content_hash: string | null } | null;
    licence: string;
  };
}

/** One figure of two models. */
export interface ComparedFigure {
  name: string;
  a: number | null;
  b: number | null;
  /** `b` less `a`. */
  difference: number | null;
}

export interface ComparedModel {
  id: string;
  name: string;
  dataset_hash: string | null;
}

/** What the jobs that trained two models measured. */
export interface Comparison {
  a: ComparedModel;
  b: ComparedModel;
  /** Whether on the same pictures. */
  same_dataset: boolean;
  metrics: ComparedFigure[];
}

export interface DetectedFace {
  box: Rect;
  score: number;
  keypoints: [number, number][];
}

export interface Detections {
  width: number;
  height: number;
  faces: DetectedFace[];
  latency_ms: number;
}

export interface System {
  version: string;
  uptime_s: number;
  devices: { id: string; name: string; threads?: number }[];
  /** Jobs by state. */
  queue: Partial<Record<JobState, number>>;
  /** Why devices that have room start no job, by device. */
  waiting?: Record<string, string>;
  disk: { free_bytes: number; total_bytes: number };
  data_dir: string;
}
