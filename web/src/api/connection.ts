// Tracks whether the server can be reached. While it cannot, tries again until it can.

type Listener = () => void;

const RETRY_MS = 2000;
const listeners = new Set<Listener>();
let lost = false;
let returns = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export const connection = {
  get lost() {
    return lost;
  },
  /** The number of times the connection came back. Pages reload their data when it changes. */
  get returns() {
    return returns;
  },
  subscribe(listener: Listener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  retryNow() {
    clearTimeout(timer);
    void knock();
  },
};

export function reportLost() {
  if (lost) return;
  lost = true;
  timer = setTimeout(knock, RETRY_MS);
  tell();
}

export function reportReached() {
  if (!lost) return;
  clearTimeout(timer);
  lost = false;
  returns += 1;
  tell();
}

async function knock() {
  try {
    const answer = await fetch("/health/live", { cache: "no-store" });
    if (answer.status < 500) return reportReached();
  } catch {
    // The server still cannot be reached.
  }
  timer = setTimeout(knock, RETRY_MS);
}

function tell() {
  for (const listener of listeners) listener();
}
