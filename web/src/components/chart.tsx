// A line chart over epochs, with the base model as dashed lines.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Series } from "../lib/curves";
import { short } from "../lib/format";
import { useDark } from "../lib/hooks";

interface Props {
  title: string;
  help: string;
  /** The epochs, in ascending order. */
  epochs: number[];
  /** The last epoch on the axis. */
  end: number;
  series: Series[];
  format?: (value: number | null | undefined) => string;
  /** Height in CSS pixels. */
  height?: number;
  children?: preact.ComponentChildren;
}

export function Chart({
  title,
  help,
  epochs,
  end,
  series,
  format = short,
  height = 180,
  children,
}: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const dark = useDark();
  const [cursor, setCursor] = useState<number | null>(null);
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const shown = series.map(({ label, off }) => toggled.has(label) === (off ?? false));
  const latest = useRef({ series, shown, end });
  latest.current = { series, shown, end };
  const structure = series.map(({ label, colour }) => label + colour).join();

  // The next effect sets the data, so new data needs no new chart
  useEffect(() => {
    const node = box.current;
    if (!node) return;
    const chart = new uPlot(
      options(node, latest.current.series, height, latest, setCursor),
      [[]],
      node,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => {
      if (node.clientWidth) chart.setSize({ width: node.clientWidth, height });
    });
    observer.observe(node);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = undefined;
    };
  }, [structure, dark, height]);

  const data = useMemo(() => [epochs, ...series.map(({ values }) => values)], [epochs, series]);
  const visible = shown.join();
  // Also sets the data of a new chart
  useEffect(() => {
    plot.current?.setData(data as uPlot.AlignedData);
    for (const [at, show] of visible.split(",").entries()) {
      plot.current?.setSeries(at + 1, { show: show === "true" }, false);
    }
  }, [data, end, visible, structure, dark, height]);

  const points = epochs.filter((_, at) => series.some(({ values }) => values[at] != null)).length;
  const at = cursor === null || cursor >= epochs.length ? undefined : cursor;
  const toggle = (label: string) => {
    const next = new Set(toggled);
    if (!next.delete(label)) next.add(label);
    setToggled(next);
  };
  return (
    <figure class="chart card" data-chart={title} data-points={points}>
      <figcaption>
        <span class="chart-title" title={help}>
          {title}
        </span>
        <span class="muted at">{at === undefined ? "" : `epoch ${short(epochs[at])}`}</span>
        {children}
      </figcaption>
      <div
        ref={box}
        class="plot"
        role="img"
        aria-label={spoken(title, help, series, format)}
        style={{ height }}
      />
      <ul class="legend">
        {series.map((line, number) => (
          <li key={line.label}>
            <button
              type="button"
              aria-pressed={shown[number] ?? false}
              onClick={() => toggle(line.label)}
            >
              <span class="swatch" style={{ background: `var(${line.colour})` }} />
              {line.label}
              {shown[number] && (
                <b>{format(at === undefined ? last(line.values) : line.values[at])}</b>
              )}
            </button>
          </li>
        ))}
      </ul>
      {points === 0 && <p class="chart-empty muted">The first point appears with the baseline.</p>}
    </figure>
  );
}

type Latest = { current: { series: Series[]; shown: boolean[]; end: number } };

function options(
  node: HTMLElement,
  series: Series[],
  height: number,
  latest: Latest,
  setCursor: (at: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(node);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: node.clientWidth || 300,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "job" },
      y: false,
      drag: { x: false, y: false },
      points: { size: 7 },
    },
    scales: { x: { time: false, range: () => [0, latest.current.end] }, y: { range } },
    axes: [
      { ...axis, size: 26, gap: 4, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
      { ...axis, size: 46, gap: 4, values: (_, ticks) => ticks.map((tick) => short(tick)) },
    ],
    series: [
      {},
      ...series.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 2,
        spanGaps: true,
        points: { size: 5, fill: colour("--card") },
      })),
    ],
    hooks: {
      draw: [(chart) => drawBaselines(chart, latest, colour)],
      setCursor: [(chart) => setCursor(chart.cursor.idx ?? null)],
    },
  };
}

/** Adds a margin to the values. Never returns an empty range, or one beyond 0 to 1 for shares. */
function range(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low == null || high == null) return [0, 1];
  const room = Math.max((high - low) * 0.1, Math.abs(high) * 0.02, 1e-9);
  const top = high <= 1 ? Math.min(1, high + room) : high + room;
  return [low >= 0 ? Math.max(0, low - room) : low - room, top];
}

function drawBaselines(chart: uPlot, latest: Latest, colour: (name: string) => string) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.globalAlpha = 0.75;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const [at, { baseline, colour: name }] of latest.current.series.entries()) {
    if (baseline == null || !latest.current.shown[at]) continue;
    const y = Math.round(chart.valToPos(baseline, "y", true)) + 0.5;
    ctx.strokeStyle = colour(name);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function spoken(
  title: string,
  help: string,
  series: Series[],
  format: NonNullable<Props["format"]>,
): string {
  const values = series.map(({ label, values, baseline }) => {
    const before = baseline == null ? "" : ` (baseline ${format(baseline)})`;
    return `${label} ${format(last(values))}${before}`;
  });
  return `${title}. ${help} Latest: ${values.join(", ")}.`;
}

function last(values: (number | null)[]): number | null {
  return values.findLast((value) => value != null) ?? null;
}
