// Hooks that pages share: loading, polling and the current time.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api";
import { connection } from "../api/connection";

export interface Resource<T> {
  data: T | undefined;
  error: ApiError | undefined;
  reload: () => void;
}

/**
 * Loads data. Loads it again on `reload` and when the connection returns, and keeps the old data
 * until the new data arrives. Starts over when `keys` change.
 *
 * `pollMs` returns the delay until the next load, if any. Polling pauses while the page is hidden.
 */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: unknown[],
  pollMs?: (data: T) => number | undefined,
): Resource<T> {
  const [answer, setAnswer] = useState<{ data?: T | undefined; error?: ApiError | undefined }>({});
  const [round, setRound] = useState(0);
  const { returns } = useConnection();
  const reload = useCallback(() => setRound((round) => round + 1), []);
  const key = JSON.stringify(keys);
  const shown = useRef(key);

  // Depends on `keys` instead of the closures, which differ on every render
  useEffect(() => {
    if (shown.current !== key) setAnswer({});
    shown.current = key;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (ms: number | undefined) => {
      if (ms !== undefined && !controller.signal.aborted) timer = setTimeout(poll, ms);
    };
    const once = async () => {
      try {
        const data = await load(controller.signal);
        if (controller.signal.aborted) return;
        setAnswer({ data });
        again(pollMs?.(data));
      } catch (error) {
        if (controller.signal.aborted) return;
        setAnswer(({ data }) => ({ data, error: error as ApiError }));
        again(pollMs && 5000);
      }
    };
    const poll = () => (document.hidden ? again(1000) : void once());
    void once();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, round, returns]);

  return { data: answer.data, error: answer.error, reload };
}

export function useConnection(): { lost: boolean; returns: number } {
  const [state, setState] = useState({ lost: connection.lost, returns: connection.returns });
  useEffect(
    () =>
      connection.subscribe(() => setState({ lost: connection.lost, returns: connection.returns })),
    [],
  );
  return state;
}

/** The current time, updated every `everyMs` milliseconds. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** Runs an action, and tracks whether it is running and how it failed. */
export function useAction<A extends unknown[]>(run: (...args: A) => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const start = async (...args: A) => {
    setBusy(true);
    setError(undefined);
    try {
      await run(...args);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) {
        setError(error as ApiError);
      }
    } finally {
      setBusy(false);
    }
  };
  return { start, busy, error, clear: () => setError(undefined) };
}

export function useTitle(title: string | undefined) {
  useEffect(() => {
    document.title = title ? `${title} · Blazetune` : "Blazetune";
  }, [title]);
}

/** Whether the user's system is in dark mode, updated live. */
export function useDark(): boolean {
  const [dark, setDark] = useState(matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setDark(query.matches);
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return dark;
}
