// The form for a new job. Its parameters come from the server's schema.

import { useMemo, useRef, useState } from "preact/hooks";
import { ApiError, type Dataset, datasets, type Job, jobs, type Model, models } from "../api";
import { FieldView, type Form } from "../components/fields";
import { Empty, ErrorNote, Pending } from "../components/status";
import { plural } from "../lib/format";
import { useAction, useResource, useTitle } from "../lib/hooks";
import { randomKey } from "../lib/key";
import { changed, type Field, fieldsOf, flatten, leaves, wrong } from "../lib/schema";
import { navigate } from "../router";

/** The fields shown first, in this order; all others are under "Advanced". */
const COMMON = ["/preset", "/epochs", "/batch_size", "/learning_rate", "/init"];

export function NewJobPage({ query }: { query: URLSearchParams }) {
  useTitle("New job");
  const from = query.get("from");
  const { data, error, reload } = useResource(
    async (signal) => {
      const [schema, sets, known, earlier] = await Promise.all([
        jobs.schema(signal),
        datasets.list(signal),
        models.list(signal),
        from ? jobs.find(from, signal) : undefined,
      ]);
      const ready = sets.items.filter(({ status }) => status === "ready");
      return { schema, sets: ready, models: known.items, earlier };
    },
    [from],
  );
  return (
    <>
      <p class="crumbs">
        <a href="/jobs">Jobs</a>
      </p>
      <div class="head">
        <h1>New job</h1>
      </div>
      {!data && <Pending error={error} what="the form" retry={reload} />}
      {data?.sets.length === 0 && (
        <Empty title="A job needs a data set">
          <p>Upload one first. It is ready once its pictures are decoded.</p>
          <a class="button primary" href="/datasets">
            Upload a data set
          </a>
        </Empty>
      )}
      {data && data.sets.length > 0 && <JobForm {...data} dataset={query.get("dataset")} />}
    </>
  );
}

interface Props {
  schema: unknown;
  sets: Dataset[];
  models: Model[];
  /** An earlier job, whose parameters fill the form. */
  earlier: Job | undefined;
  dataset: string | null;
}

function JobForm({ schema, sets, models, earlier, dataset }: Props) {
  const [name, setName] = useState("");
  const wished = dataset ?? earlier?.dataset_id;
  const [datasetId, setDatasetId] = useState(
    sets.find(({ id }) => id === wished)?.id ?? sets[0]?.id ?? "",
  );
  const [texts, setTexts] = useState<ReadonlyMap<string, string>>(() =>
    earlier ? flatten(earlier.params) : new Map(),
  );
  const preset = texts.get("/preset");
  const fields: Field[] = useMemo(() => fieldsOf(schema, preset), [schema, preset]);
  const [refused, setRefused] = useState<ReadonlyMap<string, string>>(new Map());
  const [advanced, setAdvanced] = useState(false);
  // The same body keeps its key, so that a second click submits no second job.
  const key = useRef<{ body: string; key: string } | undefined>(undefined);

  const local = useMemo(() => {
    const found = leaves(fields).flatMap((field): [string, string][] => {
      const text = texts.get(field.pointer);
      const reason = text === undefined ? undefined : wrong(field, text);
      return reason ? [[field.pointer, reason]] : [];
    });
    return new Map(found);
  }, [fields, texts]);
  const problems = new Map([...refused, ...local]);

  const shown = useRef<HTMLFormElement>(null);
  const form: Form = {
    texts,
    problems,
    suggestions: suggestionsFor(models),
    set(pointer, text) {
      setTexts(new Map(texts).set(pointer, text));
      if (refused.has(pointer)) {
        setRefused(new Map([...refused].filter(([known]) => known !== pointer)));
      }
    },
  };

  const { start, busy, error } = useAction(async () => {
    const params = changed(fields, texts);
    const body = {
      kind: "train" as const,
      dataset_id: datasetId,
      ...(name.trim() && { name: name.trim() }),
      params,
    };
    const text = JSON.stringify(body);
    if (key.current?.body !== text) key.current = { body: text, key: randomKey() };
    try {
      const job = await jobs.create(body, key.current.key);
      navigate(`/jobs/${job.id}`);
    } catch (error) {
      if (error instanceof ApiError && error.status === 422) {
        setRefused(byPointer(error));
        requestAnimationFrame(() =>
          shown.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(),
        );
      }
      throw error;
    }
  });

  const common = COMMON.flatMap(
    (pointer) => fields.find((field) => field.pointer === pointer) ?? [],
  );
  const rest = fields.filter((field) => !COMMON.includes(field.pointer));
  const hidden = [...problems.keys()].some(
    (pointer) => !COMMON.includes(pointer) && pointer.length > 0,
  );
  const shownElsewhere =
    error?.errors.every(({ pointer }) => pointer.startsWith("/params/")) ?? false;

  return (
    <form
      ref={shown}
      class="stack job-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (local.size === 0) void start();
      }}
    >
      <section class="card">
        <div class="fields">
          <div class="field">
            <label for="name">Name</label>
            <input
              id="name"
              type="text"
              maxLength={200}
              placeholder="A name that you will recognise"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </div>
          <div class="field">
            <label for="dataset">Data set</label>
            <select
              id="dataset"
              value={datasetId}
              onChange={(event) => setDatasetId(event.currentTarget.value)}
            >
              {sets.map(({ id, name, images, faces }) => (
                <option key={id} value={id}>
                  {name} ({plural(images ?? 0, "picture")}, {plural(faces ?? 0, "face")})
                </option>
              ))}
            </select>
          </div>
          {common.map((field) => (
            <FieldView key={field.pointer} field={field} form={form} />
          ))}
        </div>
      </section>
      <details
        class="card advanced"
        open={advanced || hidden}
        onToggle={(event) => setAdvanced(event.currentTarget.open)}
      >
        <summary>Advanced</summary>
        <div class="fields">
          {rest
            .filter(({ kind }) => kind !== "group")
            .map((field) => (
              <FieldView key={field.pointer} field={field} form={form} />
            ))}
        </div>
        {rest
          .filter(({ kind }) => kind === "group")
          .map((field) => (
            <FieldView key={field.pointer} field={field} form={form} />
          ))}
      </details>
      {error && !(shownElsewhere && error.errors.length > 0) && <ErrorNote error={error} />}
      {problems.size > 0 && (
        <p class="error-text" role="alert">
          {problems.size === 1 ? "One value is" : `${problems.size} values are`} invalid; see above.
        </p>
      )}
      <div class="row end">
        <a class="button" href="/jobs">
          Back
        </a>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? "Starting …" : "Start the job"}
        </button>
      </div>
    </form>
  );
}

function suggestionsFor(models: Model[]): Form["suggestions"] {
  const trained = models.filter(({ kind }) => kind !== "base");
  const init = trained.map(({ id, name, kind }) => ({
    value: id,
    label: `${name} – ${kind} model`,
  }));
  const device = ["auto", "cpu", "cuda"].map((value) => ({ value, label: value }));
  return new Map([
    ["/init", init],
    ["/device", device],
  ]);
}

/** Errors by pointer. The server's pointers include `/params`; the form's do not. */
function byPointer({ errors }: ApiError): Map<string, string> {
  return new Map(
    errors
      .filter(({ pointer }) => pointer.startsWith("/params/"))
      .map(({ pointer, detail }) => [pointer.slice("/params".length), detail]),
  );
}
