// Compares two models by the metrics that their training jobs measured.

import { type Comparison, type ComparedFigure, type Model, models } from "../api";
import { ErrorNote, Pending } from "../components/status";
import { TagList } from "../components/tags";
import { change, score, title } from "../lib/format";
import { useResource, useTitle } from "../lib/hooks";
import { navigate } from "../router";
import { Figure } from "./job/figures";
import { KINDS } from "./models";

export function ComparePage({ query }: { query: URLSearchParams }) {
  useTitle("Compare models");
  const { data, error, reload } = useResource(models.list, []);
  return (
    <>
      <p class="crumbs">
        <a href="/models">Models</a>
      </p>
      <div class="head">
        <h1>Compare two models</h1>
      </div>
      {data ? (
        <Chosen all={data.items} query={query} />
      ) : (
        <Pending error={error} what="models" retry={reload} />
      )}
    </>
  );
}

function Chosen({ all, query }: { all: Model[]; query: URLSearchParams }) {
  const named = (side: string) => all.find(({ id }) => id === query.get(side));
  const a = named("a") ?? all.find(({ kind }) => kind === "base");
  const b = named("b") ?? all.find(({ id }) => id !== a?.id);
  if (!a || !b) return <p class="muted center">Only one model so far.</p>;
  const choose = (first: string, second: string) =>
    navigate(`/models/compare?${new URLSearchParams({ a: first, b: second })}`);
  return (
    <>
      <section class="grid two" aria-label="Models">
        <Side label="First" all={all} model={a} choose={(id) => choose(id, b.id)} />
        <Side label="Second" all={all} model={b} choose={(id) => choose(a.id, id)} />
      </section>
      <Result key={`${a.id} ${b.id}`} a={a} b={b} />
    </>
  );
}

interface SideProps {
  label: string;
  all: Model[];
  model: Model;
  choose: (id: string) => void;
}

function Side({ label, all, model, choose }: SideProps) {
  return (
    <section class="card stack tight" aria-label={label}>
      <label class="stack tight">
        <span class="muted small">{label}</span>
        <select value={model.id} onChange={(event) => choose(event.currentTarget.value)}>
          {all.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <p class="facts muted">
        <a href={`/models/${model.id}`}>Details</a>
        <span>{KINDS[model.kind] ?? model.kind}</span>
        <span>{model.variant === "back" ? "256×256" : "128×128"}</span>
        <TagList tags={model.tags} />
      </p>
    </section>
  );
}

/** The most important metrics. */
const HEADLINE = [
  { name: "ap50", label: "AP, all faces" },
  { name: "ap50_ge6", label: "AP, faces ≥ 6 px" },
  { name: "ap50_ge12", label: "AP, faces ≥ 12 px" },
  { name: "ap50_ge24", label: "AP, faces ≥ 24 px" },
  { name: "ap50_95", label: "AP, IoU 0.50 to 0.95" },
  { name: "best_f1", label: "Best F1" },
];
const HELP = "On the validation pictures of the training job; pixels of the 128-pixel input";
const LABELS: Record<string, string> = {
  background: "Background loss",
  box: "Box loss",
  positive: "Score loss at faces",
  val_iou: "Mean IoU",
  keypoint_nme: "Keypoint error, in face widths",
};
/** Metrics where lower is better. */
const COSTS = new Set(["loss", "box", "positive", "background", "keypoint_nme"]);
/** Metrics where neither higher nor lower is better. */
const NEUTRAL = new Set(["best_threshold"]);

function Result({ a, b }: { a: Model; b: Model }) {
  const { data, error, reload } = useResource(
    (signal) => models.compare(a.id, b.id, signal),
    [a.id, b.id],
  );
  if (error) return <ErrorNote error={error} />;
  if (!data) return <Pending error={error} what="the metrics" retry={reload} />;
  if (!data.metrics.some(({ a, b }) => a !== null && b !== null)) return <Unmeasured data={data} />;
  const figure = (wanted: string) => data.metrics.find(({ name }) => name === wanted);
  const others = data.metrics.filter(({ name }) => !HEADLINE.some((shown) => shown.name === name));
  return (
    <>
      {!data.same_dataset && (
        <div class="note wait" role="note">
          <p>
            These models were measured on <b>different pictures</b>, so their metrics cannot be
            compared. Evaluate both on the same data set, from each model's page.
          </p>
        </div>
      )}
      <section aria-label="Metrics">
        <dl class="card figures before-after six">
          {HEADLINE.map(({ name, label }) => (
            <Figure
              key={name}
              name={name}
              label={label}
              help={HELP}
              before={figure(name)?.a ?? null}
              after={figure(name)?.b ?? null}
            />
          ))}
        </dl>
        <p class="muted small under">
          {data.a.name} → {data.b.name}
        </p>
      </section>
      <section class="card stack tight" aria-label="Other metrics">
        <h2>Other metrics</h2>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Metric</th>
                <th scope="col">{data.a.name}</th>
                <th scope="col">{data.b.name}</th>
                <th scope="col">Difference</th>
              </tr>
            </thead>
            <tbody>
              {others.map((row) => (
                <Row key={row.name} {...row} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

function Row({ name, a, b, difference }: ComparedFigure) {
  const better = difference !== null && difference < 0 === COSTS.has(name);
  const kind = NEUTRAL.has(name) || !difference ? "" : better ? "gain" : "loss";
  return (
    <tr data-figure={name}>
      <td>{LABELS[name] ?? title(name)}</td>
      <td>{score(a)}</td>
      <td>{score(b)}</td>
      <td class={kind}>{difference === null ? "–" : change(difference)}</td>
    </tr>
  );
}

function Unmeasured({ data }: { data: Comparison }) {
  const without = [data.a, data.b].filter(({ dataset_hash }) => dataset_hash === null);
  return (
    <div class="note wait" role="note">
      <p>
        There is nothing to compare: no training job on this server measured{" "}
        {without.map(({ name }) => name).join(" or ")}. Evaluate{" "}
        {without.length === 1 ? "it" : "them"} on a data set, from the model's page.
      </p>
    </div>
  );
}
