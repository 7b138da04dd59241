// The machine behind the page.

import { type System, system } from "../api";
import { Pending } from "../components/status";
import { bytes, duration, integer, title } from "../lib/format";
import { useResource, useTitle } from "../lib/hooks";

export function SystemPage() {
  useTitle("System");
  const { data, error, reload } = useResource(system, [], () => 5000);
  return (
    <>
      <div class="head">
        <h1>System</h1>
      </div>
      {!data && <Pending error={error} what="the system" retry={reload} />}
      {data && (
        <div class="grid two">
          <Facts name="Server" facts={{ version: data.version, ...others(data) }} />
          <Devices devices={data.devices} />
          <Facts name="Queue" facts={data.queue ?? {}} />
          <Facts name="Disk" facts={data.disk ?? {}} />
        </div>
      )}
    </>
  );
}

function others({
  version: _version,
  devices: _devices,
  queue: _queue,
  disk: _disk,
  ...rest
}: System) {
  return rest;
}

function Facts({ name, facts }: { name: string; facts: Record<string, unknown> }) {
  const shown = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  if (!shown.length) return null;
  return (
    <section class="card stack tight" aria-label={name}>
      <h2>{name}</h2>
      <dl class="params">
        {shown.map(([key, value]) => (
          <div key={key}>
            <dt>{title(key.replace(/_(s|bytes)$/, ""))}</dt>
            <dd>{text(key, value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Devices({ devices }: { devices: unknown }) {
  const all: unknown[] = Array.isArray(devices) ? devices : devices ? [devices] : [];
  if (!all.length) return null;
  return (
    <section class="card stack tight" aria-label="Devices">
      <h2>Devices</h2>
      {all.map((device) => (
        <dl class="params" key={JSON.stringify(device)}>
          {Object.entries(typeof device === "object" && device ? device : { device }).map(
            ([key, value]) => (
              <div key={key}>
                <dt>{title(key.replace(/_bytes$/, ""))}</dt>
                <dd>{text(key, value)}</dd>
              </div>
            ),
          )}
        </dl>
      ))}
    </section>
  );
}

/** Units are in the names: `free_bytes`, `uptime_s`. */
function text(key: string, value: unknown): string {
  if (typeof value === "number") {
    if (key.endsWith("bytes")) return bytes(value);
    if (/_s$|seconds/.test(key)) return duration(value);
    return integer(value);
  }
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}
