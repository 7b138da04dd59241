// The worker's log, newest line last.

import { useEffect, useRef } from "preact/hooks";
import { jobs, type LogLine } from "../../api";
import { Pending } from "../../components/status";
import { clock } from "../../lib/format";
import { useResource } from "../../lib/hooks";

const NOT_SHOWN = new Set([
  "timestamp",
  "time",
  "level",
  "message",
  "target",
  "fields",
  "span",
  "spans",
  "seq",
]);

export function Log({ id, active }: { id: string; active: boolean }) {
  const { data, error, reload } = useResource(
    (signal) => jobs.log(id, signal),
    [id, active],
    () => (active ? 3000 : undefined),
  );
  const box = useRef<HTMLDivElement>(null);
  const lines = data?.items;
  // New lines scroll into view
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines?.length]);
  return (
    <section class="card stack tight" aria-label="Log">
      <h2>Log</h2>
      {!lines && <Pending error={error} what="the log" retry={reload} />}
      {lines?.length === 0 && <p class="muted">Nothing yet.</p>}
      {lines && lines.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: so that the keyboard can scroll it
        <div class="log" ref={box} role="log" tabIndex={0}>
          {lines.map((line, at) => (
            <Line key={`${line.timestamp ?? line.time}${at}`} line={line} />
          ))}
        </div>
      )}
    </section>
  );
}

function Line({ line }: { line: LogLine }) {
  const time = line.timestamp ?? line.time;
  const message = line.message ?? String(line.fields?.message ?? "");
  const rest = Object.entries({ ...line.fields, ...line }).filter(([name]) => !NOT_SHOWN.has(name));
  const level = (line.level ?? "info").toLowerCase();
  return (
    <p class={level}>
      {time && (
        <time dateTime={time} title={time}>
          {clock(time)}
        </time>
      )}{" "}
      {level !== "info" && <b>{level} </b>}
      {message}
      {rest.map(([name, value]) => (
        <span class="muted" key={name}>
          {" "}
          {name}={typeof value === "string" ? value : JSON.stringify(value)}
        </span>
      ))}
    </p>
  );
}
