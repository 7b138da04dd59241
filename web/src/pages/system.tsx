// The server: its version, devices, jobs and disk.

import { type System, system } from "../api";
import { Bar, Pending } from "../components/status";
import { bytes, duration, integer, plural, title } from "../lib/format";
import { useResource, useTitle } from "../lib/hooks";

export function SystemPage() {
  useTitle("System");
  const { data, error, reload } = useResource(system, [], () => 5000);
  return (
    <>
      <div class="head">
        <h1>System</h1>
      </div>
      {!data && <Pending error={error} what="the system status" retry={reload} />}
      {data && (
        <div class="grid two">
          <Server system={data} />
          <Devices devices={data.devices} waiting={data.waiting ?? {}} />
          <Jobs counts={data.queue} />
          <Disk disk={data.disk} />
        </div>
      )}
    </>
  );
}

function Server({ system: { version, uptime_s, data_dir } }: { system: System }) {
  return (
    <section class="card stack tight" aria-label="Server">
      <h2>Server</h2>
      <dl class="params one">
        <div>
          <dt>Version</dt>
          <dd>{version}</dd>
        </div>
        <div>
          <dt>Uptime</dt>
          <dd>{duration(uptime_s)}</dd>
        </div>
        <div>
          <dt>Data folder</dt>
          <dd>
            <code>{data_dir}</code>
          </dd>
        </div>
      </dl>
    </section>
  );
}

interface DevicesProps {
  devices: System["devices"];
  waiting: Record<string, string>;
}

function Devices({ devices, waiting }: DevicesProps) {
  return (
    <section class="card stack tight" aria-label="Devices">
      <h2>Devices</h2>
      <dl class="params one">
        {devices.map(({ id, name, threads }) => (
          <div key={id}>
            <dt>{id}</dt>
            <dd>
              {name}
              {threads != null && `, ${plural(threads, "thread")}`}
              {waiting[id] && <p class="muted small">Waiting: {waiting[id]}</p>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Jobs({ counts }: { counts: System["queue"] }) {
  const some = Object.entries(counts).filter(([, count]) => count);
  return (
    <section class="card stack tight" aria-label="Jobs by state">
      <h2>Jobs by state</h2>
      {some.length === 0 && <p class="muted">No jobs yet.</p>}
      <dl class="params one">
        {some.map(([state, count]) => (
          <div key={state}>
            <dt>{title(state)}</dt>
            <dd>{integer(count)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Disk({ disk: { free_bytes, total_bytes } }: Pick<System, "disk">) {
  const used = total_bytes - free_bytes;
  return (
    <section class="card stack tight" aria-label="Disk">
      <h2>Disk</h2>
      <Bar done={used} total={total_bytes} label="Disk in use" />
      <p>
        {bytes(free_bytes)} free <span class="muted">of {bytes(total_bytes)}</span>
      </p>
    </section>
  );
}
