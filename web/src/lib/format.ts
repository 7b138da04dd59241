// Formats numbers and times for people.

const count = new Intl.NumberFormat("en");
const times: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86400],
  ["month", 30 * 86400],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** 12,880 */
export function integer(value: number | null | undefined): string {
  return value == null ? "–" : count.format(value);
}

/** `1 picture`, `2 pictures` */
export function plural(value: number, noun: string): string {
  return `${integer(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Average precision, IoU and the like: 0.507 */
export function score(value: number | null | undefined): string {
  return value == null ? "–" : value.toFixed(3);
}

/** +0.300 */
export function change(value: number): string {
  const text = Math.abs(value).toFixed(3);
  return `${value < 0 ? "−" : "+"}${text}`;
}

/** Any number in four significant digits or fewer. */
export function short(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6)
    return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/** 45 s, 3 min 20 s, 1 h 5 min */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
  if (minutes < 60) return rest && minutes < 10 ? `${minutes} min ${rest} s` : `${minutes} min`;
  const [hours, left] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return left ? `${hours} h ${left} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** 1.2 MB (decimal, as disks are sold) */
export function bytes(value: number | null | undefined): string {
  if (value == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [size, unit] = [value, 0];
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** 3 minutes ago */
export function ago(time: string, now = Date.now()): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const found = times.find(([, length]) => Math.abs(seconds) >= length);
  return found ? relative.format(Math.round(seconds / found[1]), found[0]) : "just now";
}

/** Nov 23, 2025, 9:41:07 PM */
export function exactly(time: string): string {
  return exact.format(new Date(time));
}

/** 21:41:07 */
export function clock(time: string): string {
  return new Date(time).toLocaleTimeString("en-GB");
}

/** `learning_rate` → `Learning rate` */
export function title(name: string): string {
  const words = name
    .replaceAll("_", " ")
    .replace(/\b(px|ema|iou|ap)\b/gi, (word) => UPPER[word] ?? word);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const UPPER: Record<string, string> = { px: "(px)", ema: "EMA", iou: "IoU", ap: "AP" };
