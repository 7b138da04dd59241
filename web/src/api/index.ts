// Every API route that the dashboard uses, by resource.

import { get, PREFIX, patch, post, postFile, remove, upload } from "./client";
import type { NewEvaluation, NewJob } from "./requests";
import type {
  Artifact,
  Comparison,
  Dataset,
  DatasetImage,
  Detections,
  EvaluationReport,
  Job,
  JobVerb,
  MetricsRow,
  Model,
  Samples,
  System,
  Transition,
  WholeModel,
} from "./types";

export { ApiError, type Wrong } from "./client";
export type * from "./requests";
export type * from "./types";

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** A line of a worker's log. */
export interface LogLine {
  timestamp?: string;
  time?: string;
  level?: string;
  message?: string;
  fields?: Record<string, unknown>;
  [field: string]: unknown;
}

export const datasets = {
  list: (signal?: AbortSignal) => get<Page<Dataset>>("/datasets?limit=200", signal),
  find: (id: string, signal?: AbortSignal) => get<Dataset>(`/datasets/${id}`, signal),
  images: (
    id: string,
    query: { split?: string; cursor?: string; limit: number },
    signal?: AbortSignal,
  ) => get<Page<DatasetImage>>(`/datasets/${id}/images?${search(query)}`, signal),
  /** The URL of all problems of the import, as CSV. */
  reportUrl: (id: string) => `${PREFIX}/datasets/${id}/report?format=csv`,
  /** The URL of the data set as a zip of labels in this format, with or without the cached pictures. */
  exportUrl: (id: string, format: string, pictures: "cached" | "none") =>
    `${PREFIX}/datasets/${id}/export?${search({ format, pictures })}`,
  imageUrl: (id: string, index: number) => `${PREFIX}/datasets/${id}/images/${index}`,
  upload: (
    query: { name: string; boxes?: string; units?: string; face_categories?: string },
    file: File,
    progress: (sent: number, total: number) => void,
    signal: AbortSignal,
  ) =>
    upload<Dataset>(
      `/datasets?${search(query)}`,
      file,
      archiveType(file.name),
      progress,
      signal,
    ),
  remove: (id: string) => remove(`/datasets/${id}`),
};

/** The verbs whose routes take no body. */
export type Verb = Exclude<JobVerb, "extend" | "delete">;

export const jobs = {
  schema: (signal?: AbortSignal) => get<unknown>("/schema/train", signal),
  list: (signal?: AbortSignal) => get<Page<Job>>("/jobs?limit=100", signal),
  find: (id: string, signal?: AbortSignal) => get<Job>(`/jobs/${id}`, signal),
  create: (job: NewJob, key: string) => post<Job>("/jobs", job, { "idempotency-key": key }),
  evaluate: (job: NewEvaluation) => post<Job>("/jobs", job),
  report: (id: string, signal?: AbortSignal) =>
    get<EvaluationReport>(`/jobs/${id}/artifacts/report.json`, signal),
  act: (id: string, verb: Verb) => post<Job | undefined>(`/jobs/${id}/${verb}`),
  /** Creates a job that continues where this one ended, up to `epochs` epochs in total. */
  extend: (id: string, epochs: number, key: string) =>
    post<Job>(`/jobs/${id}/extend`, { epochs }, { "idempotency-key": key }),
  remove: (id: string) => remove(`/jobs/${id}`),
  metrics: (id: string, signal?: AbortSignal) =>
    get<Page<MetricsRow>>(`/jobs/${id}/metrics`, signal),
  metricsUrl: (id: string) => `${PREFIX}/jobs/${id}/metrics`,
  eventsUrl: (id: string) => `${PREFIX}/jobs/${id}/events`,
  samples: (id: string, epoch?: number, signal?: AbortSignal) =>
    get<Samples>(`/jobs/${id}/samples${epoch === undefined ? "" : `?epoch=${epoch}`}`, signal),
  transitions: (id: string, signal?: AbortSignal) =>
    get<Page<Transition>>(`/jobs/${id}/transitions`, signal),
  log: (id: string, signal?: AbortSignal) =>
    get<Page<LogLine>>(`/jobs/${id}/log?limit=200`, signal),
  artifacts: (id: string, signal?: AbortSignal) =>
    get<Page<Artifact>>(`/jobs/${id}/artifacts`, signal),
  artifactUrl: (id: string, file: string) =>
    `${PREFIX}/jobs/${id}/artifacts/${encodeURIComponent(file)}`,
};

export const models = {
  list: (signal?: AbortSignal) => get<Page<Model>>("/models?limit=200", signal),
  upload: (
    name: string,
    file: File,
    progress: (sent: number, total: number) => void,
    signal: AbortSignal,
  ) =>
    upload<Model>(
      `/models?${search({ name })}`,
      file,
      "application/octet-stream",
      progress,
      signal,
    ),
  /** Creates a job that mixes the model with the base model, whose share is `retain`. */
  mix: (id: string, retain: number) => post<Job>(`/models/${id}/mix`, { retain }),
  find: (id: string, signal?: AbortSignal) => get<WholeModel>(`/models/${id}`, signal),
  compare: (a: string, b: string, signal?: AbortSignal) =>
    get<Comparison>(`/models/compare?${search({ a, b })}`, signal),
  describe: (id: string, change: { name?: string; tags?: string[] }) =>
    patch<Model>(`/models/${id}`, change),
  remove: (id: string) => remove(`/models/${id}`),
  fileUrl: (id: string, file: string) => `${PREFIX}/models/${id}/${encodeURIComponent(file)}`,
  detect: (id: string, picture: Blob, minScore: number) =>
    postFile<Detections>(
      `/models/${id}/detect?min_score=${minScore}`,
      picture,
      picture.type || "application/octet-stream",
    ),
};

export const system = (signal?: AbortSignal) => get<System>("/system", signal);

function search(values: Record<string, string | number | undefined>): string {
  const known = Object.entries(values).filter(([, value]) => value !== undefined);
  return new URLSearchParams(known.map(([key, value]) => [key, String(value)])).toString();
}

function archiveType(name: string): string {
  if (/\.zip$/i.test(name)) return "application/zip";
  if (/\.tar$/i.test(name)) return "application/x-tar";
  return "application/gzip";
}
