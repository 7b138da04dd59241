// What the server sends. Generated: change the types in src/, then run
// `blazetune schema > web/src/api/schema.json` and `npm --prefix web run types`.

/**
 * Who changed a job's state.
 */
export type Actor = "user" | "server" | "worker";
/**
 * What the four numbers of a box mean.
 */
export type BoxShape = "xywh" | "xyxy" | "cxcywh";
/**
 * A data set's ID.
 */
export type DatasetId = string;
/**
 * The unit of a table's coordinates.
 */
export type Units = "pixels" | "fractions";
/**
 * The status of a data set's import.
 */
export type DatasetStatus = "importing" | "ready" | "failed";
/**
 * `[ymin, xmin, ymax, xmax]` in fractions of the picture.
 *
 * @minItems 4
 * @maxItems 4
 */
export type Rect = [number, number, number, number];
/**
 * What a picture is used for.
 */
export type Split = "train" | "val" | "test";
/**
 * The smallest of WIDER FACE's three lists that a face is in: every easy face is also medium, and every medium face is
 * also hard.
 */
export type Difficulty = "easy" | "medium" | "hard";
/**
 * A selection of a data set's pictures.
 */
export type SplitChoice = "val" | "train" | "test" | "all";
/**
 * A job's ID.
 */
export type JobId = string;
/**
 * What a job does.
 */
export type JobKind = "train" | "evaluate" | "mix";
/**
 * The ID of an imported, trained or mixed model.
 */
export type ModelId = string;
/**
 * A job's state.
 */
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
/**
 * An action that a user can take on a job, named after its route.
 */
export type JobVerb = "pause" | "resume" | "stop" | "cancel" | "front" | "extend" | "delete";
/**
 * Why a mix was chosen.
 */
export type Reason = "requested" | "keeps_every_size" | "loses_least";
export type ModelKind = "base" | "imported" | "trained" | "mixed";
/**
 * Why a shift was chosen.
 */
export type ShiftReason =
  "keeps_large_faces" | "loses_large_faces" | "too_few_faces" | "finds_nothing" | "unchanged";
/**
 * The network: `short` (128 × 128) or `back` (256 × 256).
 */
export type VariantName = "short" | "back";

/**
 * Average precision at one IoU.
 */
export interface ApAtIou {
  /**
   * Average precision.
   */
  ap: number | null;
  /**
   * Minimum IoU for a detection to match a face.
   */
  iou: number;
}
/**
 * A file that a job produces.
 */
export interface Artifact {
  /**
   * File name within `artifacts/`.
   */
  name: string;
  /**
   * SHA-256 of the file, in hexadecimal.
   */
  sha256: string;
  /**
   * Size of the file in bytes.
   */
  size_bytes: number;
}
/**
 * A job's best epoch so far.
 */
export interface BestEpoch {
  /**
   * The epoch, from 1.
   */
  epoch: number;
  metrics: ValMetrics;
}
/**
 * Metrics on a whole data set. A metric is `null` in JSON if there is nothing to measure it on.
 */
export interface ValMetrics {
  /**
   * Average precision at IoU 0.5, for faces of every size.
   */
  ap50: number | null;
  /**
   * Mean of the average precisions at IoU 0.50, 0.55 … 0.95.
   */
  ap50_95: number | null;
  /**
   * Like `ap50`, but for faces of at least 12 pixels.
   */
  ap50_ge12: number | null;
  /**
   * Like `ap50`, but for faces of at least 24 pixels.
   */
  ap50_ge24: number | null;
  /**
   * Like `ap50`, but for faces of at least 6 pixels in the 128-pixel input.
   */
  ap50_ge6: number | null;
  /**
   * Weighted score loss at background anchors.
   */
  background: number;
  /**
   * Share of the background anchors that score below 0.5.
   */
  background_accuracy: number | null;
  /**
   * The best F1 over all thresholds, for faces of at least 6 pixels in the input, or of every size if there are
   * none. Smaller faces are too small for the network, so they should not affect the choice of a threshold.
   */
  best_f1: number | null;
  /**
   * Share of the detections that are faces, at `best_threshold`.
   */
  best_precision: number | null;
  /**
   * Share of the faces that are detected, at `best_threshold`.
   */
  best_recall: number | null;
  /**
   * The score threshold that gives `best_f1`; the recommended `min_detection_confidence`.
   */
  best_threshold: number | null;
  /**
   * Weighted box loss.
   */
  box: number;
  /**
   * F1 at a score threshold of 0.5.
   */
  f1: number | null;
  /**
   * Mean distance of the keypoints from the base model's, in face widths, over the faces that both models detect.
   */
  keypoint_nme: number | null;
  /**
   * Total loss.
   */
  loss: number;
  /**
   * Weighted score loss at positive anchors.
   */
  positive: number;
  /**
   * Share of the positive anchors that score at least 0.5.
   */
  positive_accuracy: number | null;
  /**
   * Precision at a score threshold of 0.5.
   */
  precision: number | null;
  /**
   * Recall at a score threshold of 0.5.
   */
  recall: number | null;
  /**
   * Mean IoU of the decoded boxes at positive anchors.
   */
  val_iou: number | null;
}
/**
 * Detections with similar scores.
 */
export interface Bin {
  /**
   * Number of detections.
   */
  count: number;
  /**
   * Lower limit of the scores, inclusive.
   */
  from: number;
  /**
   * Mean score of the detections; `null` without detections.
   */
  mean_score: number | null;
  /**
   * Share of the detections that match a face; `null` without detections.
   */
  precision: number | null;
  /**
   * Upper limit of the scores, exclusive; the last bin includes 1.
   */
  to: number;
}
/**
 * Comparison of scores with observed precision.
 */
export interface Calibration {
  /**
   * Ten bins of equal width, lowest scores first.
   */
  bins: Bin[];
  /**
   * Expected calibration error, 0..1: the difference between each bin's mean score and precision, averaged over all
   * detections; `null` without detections.
   *
   * Source: Naeini, Cooper, Hauskrecht: "Obtaining Well Calibrated Probabilities Using Bayesian
   * Binning", 2015.
   */
  expected_error: number | null;
}
export interface ComparedFigure {
  a: number | null;
  b: number | null;
  /**
   * `b` minus `a`.
   */
  difference: number | null;
  name: string;
}
export interface ComparedModel {
  dataset_hash: string | null;
  id: string;
  name: string;
}
/**
 * Two models side by side.
 */
export interface Comparison {
  a: ComparedModel;
  b: ComparedModel;
  metrics: ComparedFigure[];
  /**
   * Whether both were measured on the same data set; otherwise their metrics cannot be compared.
   */
  same_dataset: boolean;
}
/**
 * Numbers of pictures and faces.
 */
export interface Counts {
  /**
   * Number of faces.
   */
  faces: number;
  /**
   * Number of pictures.
   */
  images: number;
}
/**
 * A data set as clients see it. Once imported, it also has its counts and its report.
 */
export interface Dataset {
  content_hash: string | null;
  created_at: string;
  error: string | null;
  /**
   * Faces by their longer side in pixels of the network's 128-pixel input.
   */
  face_sizes?: FaceSizes[];
  /**
   * Number of faces.
   */
  faces?: number;
  finished_at: string | null;
  id: DatasetId;
  /**
   * Number of pictures.
   */
  images?: number;
  import_options: LabelOptions;
  name: string;
  /**
   * Number of pictures without a face.
   */
  negatives?: number;
  progress: ImportProgress | null;
  report?: ImportReport;
  /**
   * An older data set with the same pictures and labels.
   */
  same_as: DatasetId | null;
  splits?: Splits;
  status: DatasetStatus;
}
/**
 * One bar of the histogram of face sizes.
 */
export interface FaceSizes {
  /**
   * Number of faces.
   */
  count: number;
  /**
   * Lower limit, in pixels of the network's input.
   */
  from: number;
  /**
   * Upper limit, exclusive; `null` if there is none.
   */
  to: number | null;
}
/**
 * What the user says about the labels. The import works out the rest.
 */
export interface LabelOptions {
  /**
   * What the four numbers of a box mean, whatever the columns are called.
   */
  boxes?: BoxShape | null;
  /**
   * The categories that are faces, if the labels have several.
   */
  face_categories?: string[];
  /**
   * The unit of all coordinates.
   */
  units?: Units | null;
}
/**
 * The progress of an import.
 */
export interface ImportProgress {
  /**
   * Pictures decoded so far.
   */
  done: number;
  /**
   * Pictures in total; 0 during the first pass over the archive.
   */
  total: number;
}
/**
 * Problems with rows and pictures, and what the import did about them.
 */
export interface ImportReport {
  /**
   * Number of problems of each kind.
   */
  counts: {
    [k: string]: number;
  };
  files: FileTally;
  /**
   * Notes on how the archive was read.
   */
  notes: string[];
  /**
   * The first twenty problems of each kind. [`super::ImportedDataset::problems`] has all of them.
   */
  problems: ImportProblem[];
  rows: RowTally;
}
/**
 * Counts of files: `given` is the sum of all others.
 */
export interface FileTally {
  /**
   * Files in the archive, except those that operating systems add.
   */
  given: number;
  /**
   * Files that were left out, by kind.
   */
  left_out: {
    [k: string]: number;
  };
  /**
   * Tables and imported pictures.
   */
  used: number;
}
/**
 * A row or a picture that could not be used as it is.
 */
export interface ImportProblem {
  /**
   * The file in the archive.
   */
  file: string;
  /**
   * The kind of problem, as in `counts`.
   */
  kind: string;
  /**
   * What is wrong.
   */
  reason: string;
  /**
   * Its row; the header is row 1.
   */
  row?: number | null;
}
/**
 * Counts of rows: `given` is the sum of all others.
 */
export interface RowTally {
  /**
   * Rows that say their picture shows no face.
   */
  empty: number;
  /**
   * Rows that became faces.
   */
  faces: number;
  /**
   * Rows of the tables that were used.
   */
  given: number;
  /**
   * Rows whose boxes count neither as faces nor as background, such as crowds. The boxes are painted grey.
   */
  ignored: number;
  /**
   * Rows that were left out, by kind.
   */
  left_out: {
    [k: string]: number;
  };
}
/**
 * Counts by split.
 */
export interface Splits {
  test: Counts1;
  train: Counts;
  val: Counts;
}
/**
 * Numbers of pictures and faces.
 */
export interface Counts1 {
  /**
   * Number of faces.
   */
  faces: number;
  /**
   * Number of pictures.
   */
  images: number;
}
/**
 * A picture as clients see it.
 */
export interface DatasetImage {
  faces: Rect[];
  /**
   * Height of the original, in pixels.
   */
  height: number;
  index: number;
  name: string;
  split: Split;
  /**
   * Width of the original, in pixels.
   */
  width: number;
}
/**
 * The data set that a model was trained on.
 */
export interface DatasetOrigin {
  content_hash: string | null;
  id: DatasetId;
  name: string;
}
/**
 * An import's report, with a page of its problems.
 */
export interface DatasetReport {
  /**
   * Number of problems of each kind.
   */
  counts: {
    [k: string]: number;
  };
  files: FileTally1;
  items: ImportProblem[];
  /**
   * Cursor of the next page; `null` on the last page.
   */
  next_cursor: string | null;
  /**
   * Notes on how the archive was read.
   */
  notes: string[];
  rows: RowTally1;
}
/**
 * Counts of files: `given` is the sum of all others.
 */
export interface FileTally1 {
  /**
   * Files in the archive, except those that operating systems add.
   */
  given: number;
  /**
   * Files that were left out, by kind.
   */
  left_out: {
    [k: string]: number;
  };
  /**
   * Tables and imported pictures.
   */
  used: number;
}
/**
 * Counts of rows: `given` is the sum of all others.
 */
export interface RowTally1 {
  /**
   * Rows that say their picture shows no face.
   */
  empty: number;
  /**
   * Rows that became faces.
   */
  faces: number;
  /**
   * Rows of the tables that were used.
   */
  given: number;
  /**
   * Rows whose boxes count neither as faces nor as background, such as crowds. The boxes are painted grey.
   */
  ignored: number;
  /**
   * Rows that were left out, by kind.
   */
  left_out: {
    [k: string]: number;
  };
}
/**
 * A face that a network found.
 */
export interface DetectedFace {
  box: Rect;
  /**
   * `[x, y]` of the right eye, left eye, nose, mouth, right ear and left ear.
   *
   * @minItems 6
   * @maxItems 6
   */
  keypoints: [
    [number, number],
    [number, number],
    [number, number],
    [number, number],
    [number, number],
    [number, number]
  ];
  /**
   * The score, 0..1.
   */
  score: number;
}
/**
 * The faces detected in a picture.
 */
export interface Detections {
  faces: DetectedFace[];
  height: number;
  latency_ms: number;
  width: number;
}
/**
 * A device that jobs can run on.
 */
export interface Device {
  /**
   * The device's ID, such as `cpu` or `cuda:0`.
   */
  id: string;
  /**
   * The model name that the hardware reports.
   */
  name: string;
  /**
   * Number of threads; absent for a GPU.
   */
  threads?: number | null;
}
/**
 * Diagnostics over all views of one epoch.
 */
export interface Diagnostics {
  /**
   * Faces to learn, grouped by size in the view, smallest first.
   */
  faces: FaceSize[];
  /**
   * The loss of each anchor grid, 16 × 16 first.
   */
  grids: GridLoss[];
  /**
   * Name of the artifact that shows some of the views, if there is one.
   */
  sample_views: string | null;
  /**
   * Positive anchors, grouped by the IoU of their box with the face, in ten equal bins from 0 to 1.
   */
  score_by_iou: IouBin[];
  /**
   * Share of the views that have no face to learn.
   */
  views_without_face: number;
}
/**
 * Faces in one range of sizes. A face's size is √(width × height), in pixels of the 128-pixel view.
 */
export interface FaceSize {
  /**
   * Number of faces, over all views.
   */
  count: number;
  /**
   * Lower limit of the size in pixels, inclusive.
   */
  from: number;
  /**
   * Mean number of positive anchors per face.
   */
  positives_per_face: number | null;
  /**
   * Upper limit of the size in pixels, exclusive; `null` means no limit.
   */
  to: number | null;
  /**
   * Share of the faces that have no positive anchor.
   */
  without_positive: number | null;
}
/**
 * The losses at one grid's anchors, as weighted means over the epoch's steps. The losses of the two grids add up to
 * the epoch's losses.
 */
export interface GridLoss {
  /**
   * Score loss at background anchors.
   */
  background: number;
  /**
   * Box loss.
   */
  box: number;
  /**
   * Score loss at positive anchors.
   */
  positive: number;
  /**
   * Share of all positive anchors that belong to this grid.
   */
  share_of_positives: number | null;
  /**
   * Cells per side: 16 or 8.
   */
  side: number;
}
/**
 * Positive anchors whose box has an IoU from `from` to `from` + 0.1.
 */
export interface IouBin {
  /**
   * Number of positive anchors.
   */
  count: number;
  /**
   * Lower limit of the IoU.
   */
  from: number;
  /**
   * Mean score of the anchors, 0..1.
   */
  mean_score: number | null;
}
/**
 * Average precision on faces up to a difficulty.
 */
export interface DifficultyRow {
  /**
   * Average precision at IoU 0.5.
   */
  ap50: number | null;
  difficulty: Difficulty;
  /**
   * Number of faces that count.
   */
  faces: number;
}
export interface Disk {
  free_bytes: number;
  total_bytes: number;
}
/**
 * An evaluation of one model on one data set. Sizes are lengths of a box's longer side, in pixels of the network's
 * input. Figures are 0..1, or `null` if there are no faces to measure them on.
 */
export interface EvaluatedModel {
  /**
   * Mean of `average_precision`.
   */
  ap50_95: number | null;
  /**
   * Figures at score threshold 0.5, `MediaPipe`'s default.
   */
  at_default: Operating | null;
  /**
   * Average precision at IoU 0.50, 0.55 … 0.95.
   */
  average_precision: ApAtIou[];
  /**
   * Figures at the threshold with the best F1, which is the recommended `min_detection_confidence` for `MediaPipe`.
   */
  best: Operating | null;
  /**
   * Figures for WIDER FACE's easy, medium and hard faces; empty if the data set has no difficulties.
   */
  by_difficulty?: DifficultyRow[];
  /**
   * Figures for each folder of pictures, sorted by name.
   */
  by_folder: FolderRow[];
  /**
   * Figures at IoU 0.5 for faces of at least 0, 6, 12 and 24 pixels. Smaller faces are ignored, and false
   * detections of any size count.
   */
  by_min_size: SizeRow[];
  /**
   * Figures at IoU 0.5 for faces of 6–12, 12–24, 24–48 and at least 48 pixels. Only false detections in the same
   * range count.
   */
  by_size: SizeRow[];
  /**
   * Figures at IoU 0.5 and score thresholds 0.02, 0.04 … 0.98.
   */
  by_threshold: Operating[];
  calibration: Calibration;
  /**
   * Number of detections, whatever their score.
   */
  detections: number;
  /**
   * Number of faces in those pictures.
   */
  faces: number;
  /**
   * Mean distance of the keypoints from the first model's, in face widths; `null` for the first model.
   */
  keypoint_nme: number | null;
  /**
   * The user's name for the model.
   */
  model: string;
  /**
   * Number of pictures.
   */
  pictures: number;
  /**
   * Precision-recall curve at IoU 0.5, with at most 200 points, best score first.
   */
  precision_recall: Operating[];
  /**
   * The pictures with the most mistakes at the best threshold, worst first; at most 20.
   */
  worst: WorstPicture[];
}
/**
 * Precision, recall and F1 at one score threshold.
 */
export interface Operating {
  /**
   * Harmonic mean of precision and recall.
   */
  f1: number;
  /**
   * Share of the detections that match a face.
   */
  precision: number;
  /**
   * Share of the faces that are detected.
   */
  recall: number;
  /**
   * Detections with at least this score count.
   */
  threshold: number;
}
/**
 * Figures for the pictures of one folder.
 */
export interface FolderRow {
  /**
   * Average precision at IoU 0.5.
   */
  ap50: number | null;
  /**
   * Average precision at IoU 0.5 for faces of at least 12 pixels.
   */
  ap50_ge12: number | null;
  /**
   * Figures at the whole data set's best threshold.
   */
  at_best: Operating | null;
  /**
   * Number of faces in those pictures.
   */
  faces: number;
  /**
   * The folder's path; empty for pictures in no folder.
   */
  folder: string;
  /**
   * Number of pictures in the folder.
   */
  pictures: number;
}
/**
 * Figures for a range of face sizes.
 */
export interface SizeRow {
  /**
   * Average precision at IoU 0.5.
   */
  ap50: number | null;
  /**
   * Number of faces in the range.
   */
  faces: number;
  /**
   * Lower limit of the size in pixels, inclusive.
   */
  from_px: number;
  /**
   * Share of the faces that are detected at the best threshold.
   */
  recall: number | null;
  /**
   * Upper limit of the size in pixels, exclusive; `null` means no limit.
   */
  to_px: number | null;
}
/**
 * A picture with mistakes.
 */
export interface WorstPicture {
  /**
   * Number of detections that match no face.
   */
  false_detections: number;
  /**
   * Number of faces of at least 12 pixels that were not detected.
   */
  missed: number;
  /**
   * The picture's path in the data set.
   */
  name: string;
  /**
   * Index of the picture among the evaluated pictures.
   */
  picture: number;
}
/**
 * The content of `report.json`.
 */
export interface EvaluationReport {
  /**
   * SHA-256 of the data set's content.
   */
  content_hash: string;
  /**
   * The user's name for the data set.
   */
  dataset: string;
  format_version: number;
  /**
   * Side of the network's input, in pixels.
   */
  input_px: number;
  /**
   * The model, then the model that it is compared with, if any.
   */
  models: EvaluatedModel[];
  split: SplitChoice;
}
/**
 * A model's figures at a threshold of 0.5, with suppression as `MediaPipe` does it at this threshold.
 */
export interface FiguresAtDefault {
  /**
   * Harmonic mean of `precision` and `recall`.
   */
  f1: number;
  /**
   * Share of the detections that are faces. Faces under 6 pixels of the 128-pixel input are ignored.
   */
  precision: number;
  /**
   * Share of the faces of at least 6 pixels that are detected.
   */
  recall: number;
  /**
   * Share of the faces of at least 24 pixels that are detected; `null` without such faces.
   */
  recall_ge24: number | null;
}
/**
 * A job as clients see it.
 */
export interface Job {
  /**
   * The base model's metrics.
   */
  baseline: ValMetrics | null;
  /**
   * Batches are this many times smaller than requested.
   */
  batch_divisor: number;
  best: BestEpoch | null;
  created_at: string;
  dataset_id: DatasetId | null;
  device: string | null;
  error: string | null;
  /**
   * The kind of failure, if it failed.
   */
  failure: string | null;
  finished_at: string | null;
  /**
   * Why the server paused it: `disk_full` or `disk_error`.
   */
  hold: string | null;
  id: JobId;
  /**
   * Whether it has ended. Only a user can then change it.
   */
  is_final: boolean;
  kind: JobKind;
  /**
   * The model that it made, once it has completed.
   */
  model_id: ModelId | null;
  name: string;
  not_before: string | null;
  params: {
    [k: string]: unknown;
  };
  priority: number;
  progress: JobProgress | null;
  /**
   * How many seconds it has held a device.
   */
  ran_s: number;
  restarts: number;
  started_at: string | null;
  state: JobState;
  time_limit_s: number | null;
  /**
   * The actions that a user can take on it now.
   */
  verbs: JobVerb[];
}
/**
 * A job's progress.
 */
export interface JobProgress {
  /**
   * The current epoch, from 1; 0 while the base model is measured, and always 0 for a job that does not train.
   */
  epoch: number;
  /**
   * The total number of epochs; 0 for a job that does not train.
   */
  epochs: number;
  /**
   * Estimated seconds until the job ends.
   */
  eta_s: number | null;
  /**
   * Training views per second, or pictures per second for a job that does not train.
   */
  images_per_s: number | null;
  /**
   * Steps done in this epoch, or pictures done for a job that does not train.
   */
  step: number;
  /**
   * Steps per epoch, or the total number of pictures for a job that does not train.
   */
  steps: number;
}
/**
 * The job that made a model.
 */
export interface JobOrigin {
  finished_at: string | null;
  id: JobId;
  name: string;
  params: {
    [k: string]: unknown;
  };
}
/**
 * A row of the metrics table.
 */
export interface MetricsRow {
  /**
   * Diagnostics of the epoch; absent in row 0 and in rows from earlier versions.
   */
  diagnostics: Diagnostics | null;
  /**
   * The epoch, from 1; 0 is the base model.
   */
  epoch: number;
  /**
   * Training views per second over the epoch.
   */
  images_per_s: number;
  /**
   * Whether this is the best epoch so far according to the job's `monitor`.
   */
  is_best: boolean;
  /**
   * Learning rate of the epoch's last step.
   */
  lr: number;
  /**
   * Wall time of the epoch in seconds, including validation.
   */
  seconds: number;
  /**
   * Optimizer steps done since the job began.
   */
  step: number;
  /**
   * Time in RFC 3339 format, UTC.
   */
  time: string;
  /**
   * Means over the epoch's steps; absent in row 0.
   */
  train: TrainMetrics | null;
  val: ValMetrics;
}
/**
 * Means over training steps.
 */
export interface TrainMetrics {
  /**
   * Weighted score loss at background anchors.
   */
  background: number;
  /**
   * Weighted box loss.
   */
  box: number;
  /**
   * Norm of the gradient before clipping.
   */
  gradient_norm: number;
  /**
   * Total loss.
   */
  loss: number;
  /**
   * Weighted score loss at positive anchors.
   */
  positive: number;
  /**
   * Mean number of positive anchors per face, not counting ignored faces.
   */
  positives_per_face: number;
}
/**
 * Metrics of one mix.
 */
export interface Mix {
  /**
   * Share of the base model, 0..1.
   */
  retain: number;
  val: ValMetrics;
}
/**
 * The chosen mix, and all mixes that were measured.
 */
export interface Mixing {
  /**
   * The measured mixes, in ascending order of share, before the chosen mix's scores were shifted.
   */
  curve: Mix[];
  reason: Reason;
  /**
   * Share of the base model in the result, 0..1.
   */
  retain: number;
}
/**
 * A model as clients see it.
 */
export interface Model {
  created_at: string | null;
  /**
   * The name of every file that can be downloaded, including those written on request.
   */
  downloads: string[];
  files: Artifact[];
  id: string;
  job_id: JobId | null;
  kind: ModelKind;
  /**
   * The metrics, if the model was trained or mixed here.
   */
  metrics: ModelMetrics | null;
  name: string;
  /**
   * The model it was mixed from.
   */
  parent_id: ModelId | null;
  tags: string[];
  variant: VariantName;
}
/**
 * A model's metrics on the validation pictures of its data set.
 */
export interface ModelMetrics {
  /**
   * The base model's metrics.
   */
  baseline: ValMetrics | null;
  /**
   * The metrics of the delivered weights.
   */
  best: ValMetrics | null;
  /**
   * The best epoch; `null` for a mix.
   */
  epoch: number | null;
  /**
   * The recommended `min_detection_confidence`; absent for models of earlier versions.
   */
  recommended_threshold: number | null;
  retention: Mixing | null;
  /**
   * How the scores were shifted; `null` if the job did not shift them, absent for models of earlier versions.
   */
  score_shift: ScoreShift | null;
}
/**
 * A shift of a model's scores, and what it changes at a score threshold of 0.5, `MediaPipe`'s default.
 */
export interface ScoreShift {
  /**
   * Figures at a threshold of 0.5 on the validation pictures; `null` if no shift was looked for.
   */
  figures: ShiftFigures | null;
  /**
   * Added to every logit of the delivered weights; 0 leaves the scores as they were.
   */
  logits: number;
  reason: ShiftReason;
}
/**
 * Figures with and without a shift, at a threshold of 0.5.
 */
export interface ShiftFigures {
  after: FiguresAtDefault;
  base: FiguresAtDefault;
  before: FiguresAtDefault;
  /**
   * The best F1 of any shift.
   */
  best_f1: number;
}
/**
 * Where a model comes from.
 */
export interface Provenance {
  dataset: DatasetOrigin | null;
  job: JobOrigin | null;
  licence: string;
  /**
   * The model that it was made from: `base`, an ID, or `null` if it was trained from scratch or this is unknown.
   */
  parent_id: string | null;
}
/**
 * A sample picture. Boxes are in fractions of the picture.
 */
export interface SamplePicture {
  /**
   * The base model's detections.
   */
  baseline: ScoredBox[];
  /**
   * The annotated faces.
   */
  ground_truth: Rect[];
  /**
   * Height of the original, in pixels.
   */
  height: number;
  /**
   * Index in the data set.
   */
  index: number;
  /**
   * The picture's path in the data set.
   */
  name: string;
  /**
   * The fine-tuned model's detections after the epoch.
   */
  tuned: ScoredBox[];
  /**
   * Width of the original, in pixels.
   */
  width: number;
}
/**
 * A detection in a sample picture.
 */
export interface ScoredBox {
  box: Rect;
  /**
   * The score, 0..1.
   */
  score: number;
}
/**
 * Sample detections after an epoch.
 */
export interface Samples {
  /**
   * The epoch; 0 is the base model.
   */
  epoch: number;
  /**
   * A few validation pictures, the same for every epoch.
   */
  pictures: SamplePicture[];
}
/**
 * Progress within an epoch.
 */
export interface StepEvent {
  /**
   * The current epoch, from 1.
   */
  epoch: number;
  /**
   * Total number of epochs.
   */
  epochs: number;
  /**
   * Estimated seconds until the job ends, including validation.
   */
  eta_s: number;
  /**
   * Training views per second.
   */
  images_per_s: number;
  /**
   * Learning rate of the last step.
   */
  lr: number;
  /**
   * Steps done in this epoch.
   */
  step: number;
  /**
   * Steps per epoch.
   */
  steps: number;
  train: TrainMetrics;
}
export interface System {
  data_dir: string;
  devices: Device[];
  disk: Disk;
  /**
   * Number of jobs by state.
   */
  queue: {
    [k: string]: number;
  };
  uptime_s: number;
  version: string;
  /**
   * For each device that is free but cannot start a waiting job, the reason.
   */
  waiting: {
    [k: string]: string;
  };
}
/**
 * A change of a job's state, or a restart, which does not change the state.
 */
export interface Transition {
  actor: Actor;
  /**
   * The previous state; `None` for a new job.
   */
  from: JobState | null;
  /**
   * Why it was made.
   */
  reason: string;
  /**
   * When it happened; RFC 3339.
   */
  time: string;
  to: JobState;
}
/**
 * An unfinished upload that a client can continue.
 */
export interface Upload {
  created_at: string;
  id: DatasetId;
  /**
   * Number of bytes in total.
   */
  length: number;
  /**
   * Name of the data set.
   */
  name: string;
  /**
   * Number of bytes that have arrived.
   */
  offset: number;
}
/**
 * A model and its provenance.
 */
export interface WholeModel {
  created_at: string | null;
  /**
   * The name of every file that can be downloaded, including those written on request.
   */
  downloads: string[];
  files: Artifact[];
  id: string;
  job_id: JobId | null;
  kind: ModelKind;
  /**
   * The metrics, if the model was trained or mixed here.
   */
  metrics: ModelMetrics | null;
  name: string;
  /**
   * The model it was mixed from.
   */
  parent_id: ModelId | null;
  provenance: Provenance;
  tags: string[];
  variant: VariantName;
}
