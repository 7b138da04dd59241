// Small components that show a state.

import type { ComponentChildren } from "preact";
import type { ApiError, JobState } from "../api";
import { ago, exactly } from "../lib/format";
import { useNow } from "../lib/hooks";

const TONES: Record<string, string> = {
  running: "live",
  importing: "live",
  completed: "good",
  ready: "good",
  failed: "bad",
  paused: "wait",
  pausing: "wait",
  stopping: "wait",
  cancelling: "wait",
};

export function Badge({ state }: { state: JobState | string }) {
  return (
    <span class={`badge ${TONES[state] ?? "idle"}`} data-state={state}>
      <span class="dot" aria-hidden="true" />
      {state}
    </span>
  );
}

/** "3 minutes ago", with the exact time on hover. */
export function Ago({ time }: { time: string }) {
  const now = useNow(30_000);
  return (
    <time dateTime={time} title={exactly(time)}>
      {ago(time, now)}
    </time>
  );
}

export function Bar({ done, total, label }: { done: number; total: number; label: string }) {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  return (
    <progress class="bar" value={share} max={1} aria-label={label}>
      {Math.round(share * 100)} %
    </progress>
  );
}

/** An error, in the server's words. */
export function ErrorNote({ error, children }: { error: ApiError; children?: ComponentChildren }) {
  return (
    <div class="note bad" role="alert">
      <div>
        <strong>{error.title || "Something went wrong"}</strong>
        {error.detail && error.detail !== error.title && <p>{error.detail}</p>}
        {error.errors.length > 0 && (
          <ul>
            {error.errors.map(({ pointer, detail }) => (
              <li key={pointer + detail}>
                <code>{pointer}</code> {detail}
              </li>
            ))}
          </ul>
        )}
      </div>
      {children}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> Loading {what} …
    </div>
  );
}

/** A loading message, or why loading failed. */
export function Pending({
  error,
  what,
  retry,
}: {
  error: ApiError | undefined;
  what: string;
  retry: () => void;
}) {
  if (!error) return <Loading what={what} />;
  return (
    <ErrorNote error={error}>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </ErrorNote>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}
