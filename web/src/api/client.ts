// Calls the server. Requests and responses are JSON, and every failure is an `ApiError`.

import { reportLost, reportReached } from "./connection";

export const PREFIX = "/api/v1";

/** An invalid value, as problem+json reports it. */
export interface Wrong {
  pointer: string;
  detail: string;
}

/** A problem that the server reports (RFC 9457), or a failure to reach it (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors: Wrong[];

  constructor(status: number, title: string, detail = "", errors: Wrong[] = []) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, {
    headers: { accept: "application/json" },
    signal: signal ?? null,
  });
  return (await response.json()) as T;
}

export async function post<T>(path: string, body?: unknown, headers?: HeadersInit): Promise<T> {
  const json = body === undefined ? {} : { "content-type": "application/json" };
  const response = await send(path, {
    method: "POST",
    headers: { ...json, ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export async function patch<T>(path: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  const response = await send(path, { method: "PATCH", headers, body: JSON.stringify(body) });
  return (await response.json()) as T;
}

/** POSTs a file. */
export async function postFile<T>(path: string, file: Blob, type: string): Promise<T> {
  const headers = { "content-type": type };
  const response = await send(path, { method: "POST", headers, body: file });
  return (await response.json()) as T;
}

export async function remove(path: string): Promise<void> {
  await send(path, { method: "DELETE" });
}

/** POSTs a file and reports the upload's progress, which `fetch` cannot do. */
export function upload<T>(
  path: string,
  file: File,
  type: string,
  progress: (sent: number, total: number) => void,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", PREFIX + path);
    request.setRequestHeader("content-type", type);
    request.upload.onprogress = (event) => progress(event.loaded, event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.statusText, request.responseText));
    };
    request.onerror = () =>
      reject(new ApiError(0, "The upload was interrupted", "The server closed the connection."));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(PREFIX + path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reportLost();
    throw new ApiError(0, "Cannot reach the server", "It may be restarting.");
  }
  reportReached();
  if (!response.ok) throw problem(response.status, response.statusText, await response.text());
  return response;
}

function problem(status: number, statusText: string, body: string): ApiError {
  try {
    const { title, detail, errors } = JSON.parse(body);
    return new ApiError(status, title ?? statusText, detail ?? "", errors ?? []);
  } catch {
    return new ApiError(status, statusText || `HTTP ${status}`, body.slice(0, 300));
  }
}
