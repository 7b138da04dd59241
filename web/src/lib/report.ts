// An import's report, made into tables whatever its details are called.

export interface Bar {
  label: string;
  count: number;
}

export interface Finding {
  name: string;
  count: number;
  columns: string[];
  rows: string[][];
}

type Json = Record<string, unknown>;

/** Buckets of the face-size histogram, smallest first. */
export function histogram(value: unknown): Bar[] {
  if (Array.isArray(value)) return value.flatMap(bar);
  if (!isObject(value)) return [];
  const lists = Object.values(value).find(Array.isArray);
  if (lists) return histogram(lists);
  return Object.entries(value).flatMap(([label, count]) =>
    typeof count === "number" ? [{ label: readable(label), count }] : [],
  );
}

/** What an import found wrong, worst kind first; kinds without a case are left out. */
export function findings(report: unknown): Finding[] {
  if (!isObject(report)) return [];
  return Object.entries(report).flatMap(([name, value]) => finding(name, value));
}

function finding(name: string, value: unknown): Finding[] {
  if (typeof value === "number")
    return value > 0 ? [{ name, count: value, columns: [], rows: [] }] : [];
  if (Array.isArray(value)) return value.length ? [table(name, value)] : [];
  if (!isObject(value)) return [];
  const entries = Object.entries(value);
  if (entries.length && entries.every(([, count]) => typeof count === "number")) {
    const rows = entries
      .filter(([, count]) => count !== 0)
      .map(([key, n]) => [readable(key), String(n)]);
    const count = entries.reduce((sum, [, n]) => sum + (n as number), 0);
    return count ? [{ name, count, columns: ["reason", "count"], rows }] : [];
  }
  return entries.flatMap(([inner, content]) => finding(`${name}_${inner}`, content));
}

function table(name: string, items: unknown[]): Finding {
  const objects = items.filter(isObject);
  if (objects.length !== items.length) {
    return { name, count: items.length, columns: [], rows: items.map((item) => [String(item)]) };
  }
  const columns = [...new Set(objects.flatMap((item) => Object.keys(item)))];
  const rows = objects.map((item) => columns.map((column) => text(item[column])));
  return { name, count: items.length, columns, rows };
}

function bar(item: unknown): Bar[] {
  if (!isObject(item)) return [];
  const count = item.count ?? item.faces ?? item.n;
  if (typeof count !== "number") return [];
  const low = item.from ?? item.at_least ?? item.min;
  const high = item.to ?? item.below ?? item.max;
  if (typeof item.label === "string") return [{ label: item.label, count }];
  if (high == null) return [{ label: `≥ ${low}`, count }];
  return [{ label: low ? `${low}–${high}` : `< ${high}`, count }];
}

/** `lt3`, `3_6`, `ge48` and the like as ranges. */
function readable(name: string): string {
  return name
    .replace(/^(lt|below|under)_?/, "< ")
    .replace(/^(ge|over|from)_?/, "≥ ")
    .replace(/^<(?=\d)/, "< ")
    .replace(/^>=\s*/, "≥ ")
    .replace(/(\d)[_-](to_)?(?=\d)/, "$1–")
    .replaceAll("_", " ");
}

function text(value: unknown): string {
  if (value == null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
