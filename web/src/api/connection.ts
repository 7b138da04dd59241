// Whether the server answers. While it does not, asks again until it does.

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
  /** How often the connection came back: a reason to load again. */
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
    // Still away.
  }
  timer = setTimeout(knock, RETRY_MS);
}

function tell() {
  for (const listener of listeners) listener();
}
