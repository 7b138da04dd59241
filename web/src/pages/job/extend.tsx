// Continues a finished job's training, in a new job.

import { useState } from "preact/hooks";
import { type Job, jobs } from "../../api";
import { ErrorNote } from "../../components/status";
import { useAction } from "../../lib/hooks";
import { randomKey } from "../../lib/key";
import { navigate } from "../../router";

/** The most that the server accepts. */
const MOST_EPOCHS = 10_000;

export function Extend({ job, done }: { job: Job; done: number }) {
  const [text, setText] = useState<string>();
  const [key] = useState(randomKey);
  const epochs = text === undefined ? Math.min(2 * done, MOST_EPOCHS) : Number(text);
  const { start, busy, error } = useAction(async () => {
    const longer = await jobs.extend(job.id, epochs, `${key}-${epochs}`);
    navigate(`/jobs/${longer.id}`);
  });
  return (
    <section class="card stack tight" aria-label="Continue training">
      <h2>Continue training</h2>
      <p class="muted small">
        A new job continues from the last checkpoint, with the learning rate of a job that was
        planned with the new total. This job and its model do not change.
      </p>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
      >
        <label for="extend-to">Total epochs</label>
        <input
          id="extend-to"
          type="number"
          required
          min={done + 1}
          max={MOST_EPOCHS}
          step={1}
          value={text ?? epochs}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <span class="muted">{done} done so far</span>
        <button type="submit" disabled={busy}>
          {busy ? "Starting …" : "Continue training"}
        </button>
      </form>
      {error && <ErrorNote error={error} />}
    </section>
  );
}
