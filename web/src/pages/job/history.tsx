// The history of a job's state: each change and restart, who caused it, and why.

import { type JobState, jobs } from "../../api";
import { Pending } from "../../components/status";
import { clock } from "../../lib/format";
import { useResource } from "../../lib/hooks";

interface Props {
  id: string;
  state: JobState;
  restarts: number;
}

export function History({ id, state, restarts }: Props) {
  const { data, error, reload } = useResource(
    (signal) => jobs.transitions(id, signal),
    [id, state, restarts],
  );
  return (
    <section class="card stack tight" aria-label="History">
      <h2>History</h2>
      {!data && <Pending error={error} what="the history" retry={reload} />}
      <ol class="log plain">
        {data?.items.map(({ time, from, to, actor, reason }) => (
          <li key={time + to}>
            <time dateTime={time} title={time}>
              {clock(time)}
            </time>{" "}
            <b>{from === to ? "restarted" : to}</b> <span class="muted">by the {actor}:</span>{" "}
            {reason}
          </li>
        ))}
      </ol>
    </section>
  );
}
