// The page of an evaluation: a model's metrics, next to those of the model it is compared with.

import { useEffect } from "preact/hooks";
import {
  datasets,
  type EvaluatedModel,
  type EvaluationReport,
  type Job,
  jobs,
  type SizeRow,
} from "../../api";
import { Pending } from "../../components/status";
import { change, integer, score } from "../../lib/format";
import { useResource } from "../../lib/hooks";
import type { LiveJob } from "../../lib/live";
import { Downloads } from "./downloads";
import { Figure } from "./figures";
import { History } from "./history";
import { JobHeader } from "./header";
import { Log } from "./log";
import { Parameters } from "./parameters";
import { WorstPictures } from "./worst";

const REFRESH_MS = 1000;

export function EvaluationContent({ live, job }: { live: LiveJob; job: Job }) {
  const over = job.is_final;
  const dataset = useResource(
    async (signal) => (job.dataset_id ? datasets.find(job.dataset_id, signal) : undefined),
    [job.dataset_id],
  );

  // Its events report only states, so this polls the progress
  useEffect(() => {
    if (over) return;
    const timer = setInterval(live.refresh, REFRESH_MS);
    return () => clearInterval(timer);
  }, [job.id, over]);

  return (
    <>
      <p class="crumbs">
        <a href="/jobs">Jobs</a>
      </p>
      <JobHeader job={job} dataset={dataset.data} refresh={live.refresh} />
      {job.state === "completed" && <Report job={job} />}
      <section class="grid two">
        <Log id={job.id} active={!over} />
        <Parameters params={job.params} />
        <History id={job.id} state={job.state} restarts={job.restarts ?? 0} />
      </section>
    </>
  );
}

function Report({ job }: { job: Job }) {
  const { data, error, reload } = useResource((signal) => jobs.report(job.id, signal), [job.id]);
  if (!data) return <Pending error={error} what="the report" retry={reload} />;
  const [model, other] = data.models;
  if (!model) return null;
  return (
    <>
      <Headline report={data} model={model} other={other} />
      <section class="grid two">
        <Table title="Average precision by face size" first="Pixels (of 128)" models={data.models}>
          {sizes(model, other)}
        </Table>
        {model.by_difficulty && (
          <Table title="Average precision by WIDER FACE difficulty" first="Difficulty" models={data.models}>
            {difficulties(model, other)}
          </Table>
        )}
        <Table title="Average precision by folder" first="Folder" models={data.models}>
          {folders(model, other)}
        </Table>
      </section>
      <WorstPictures job={job} models={data.models} />
      <Downloads job={job} except={/^worst_/} />
    </>
  );
}

const AT_BEST = "At the best score threshold, for faces of at least 6 pixels";

const FIGURES: {
  name: string;
  label: string;
  help: string;
  of: (model: EvaluatedModel) => number | null;
}[] = [
  {
    name: "ap50_95",
    label: "AP, IoU 0.50 to 0.95",
    help: "Mean of the average precisions at increasingly strict IoU thresholds",
    of: ({ ap50_95 }) => ap50_95,
  },
  { name: "best_f1", label: "Best F1", help: AT_BEST, of: ({ best }) => best?.f1 ?? null },
  { name: "precision", label: "Precision", help: AT_BEST, of: ({ best }) => best?.precision ?? null },
  { name: "recall", label: "Recall", help: AT_BEST, of: ({ best }) => best?.recall ?? null },
];

interface Pair {
  model: EvaluatedModel;
  /** The model that it is compared with. */
  other: EvaluatedModel | undefined;
}

function Headline({ report, model, other }: Pair & { report: EvaluationReport }) {
  const split = { val: "validation", train: "training", test: "test", all: "" }[report.split];
  const sizes = model.by_min_size.map((row, index) => ({
    name: row.from_px === 0 ? "ap50" : `ap50_ge${row.from_px}`,
    label: row.from_px === 0 ? "AP, all faces" : `AP, faces ≥ ${row.from_px} px`,
    help: "Average precision at IoU 0.5; pixels of the 128-pixel input",
    of: ({ by_min_size }: EvaluatedModel) => by_min_size[index]?.ap50 ?? null,
  }));
  const figures = [...sizes, ...FIGURES];
  return (
    <section aria-label="Figures">
      <dl class="card figures before-after">
        {figures.map(({ name, label, help, of }) => (
          <Figure
            key={name}
            name={name}
            label={label}
            help={help}
            before={of(other ?? model)}
            after={other && of(model)}
          />
        ))}
      </dl>
      <p class="muted small under">
        {other ? `${other.model} → ${model.model}` : model.model}, on {integer(model.pictures)}{" "}
        {split} pictures with {integer(model.faces)} faces. Recommended{" "}
        min_detection_confidence: <span data-threshold>{threshold(model)}</span>
        {other && ` (${other.model}: ${threshold(other)})`}.
      </p>
    </section>
  );
}

function threshold({ best }: EvaluatedModel): string {
  return best ? best.threshold.toFixed(2) : "none, because it detects no face";
}

interface Row {
  label: string;
  faces: number;
  values: (number | null | undefined)[];
}

function sizes(model: EvaluatedModel, other: EvaluatedModel | undefined): Row[] {
  const label = ({ from_px, to_px }: SizeRow) =>
    to_px === null ? (from_px === 0 ? "any" : `≥ ${from_px}`) : `${from_px} to ${to_px}`;
  const rows = (of: "by_min_size" | "by_size") =>
    model[of].map((row, index) => ({
      label: label(row),
      faces: row.faces,
      values: [row.ap50, ...(other ? [other[of][index]?.ap50] : [])],
    }));
  return [...rows("by_min_size"), ...rows("by_size")];
}

function difficulties(model: EvaluatedModel, other: EvaluatedModel | undefined): Row[] {
  return (model.by_difficulty ?? []).map(({ difficulty, faces, ap50 }, index) => ({
    label: difficulty,
    faces,
    values: [ap50, ...(other ? [other.by_difficulty?.[index]?.ap50] : [])],
  }));
}

function folders(model: EvaluatedModel, other: EvaluatedModel | undefined): Row[] {
  return model.by_folder.map(({ folder, faces, ap50 }, index) => ({
    label: folder || "(no folder)",
    faces,
    values: [ap50, ...(other ? [other.by_folder[index]?.ap50] : [])],
  }));
}

interface TableProps {
  title: string;
  first: string;
  models: EvaluatedModel[];
  children: Row[];
}

function Table({ title, first, models, children }: TableProps) {
  return (
    <section class="card stack tight" aria-label={title}>
      <h2>{title}</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>{first}</th>
              <th>Faces</th>
              {models.map(({ model }, index) => (
                <th key={index}>{model}</th>
              ))}
              {models.length === 2 && <th>Difference</th>}
            </tr>
          </thead>
          <tbody>
            {children.map(({ label, faces, values }) => (
              <tr key={label}>
                <td>{label}</td>
                <td>{integer(faces)}</td>
                {values.map((value, index) => (
                  <td key={index}>{score(value)}</td>
                ))}
                {models.length === 2 && <Difference values={values} />}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Difference({ values: [model, other] }: { values: Row["values"] }) {
  if (model == null || other == null) return <td>–</td>;
  const gain = model - other;
  return <td class={gain < 0 ? "loss" : "gain"}>{change(gain)}</td>;
}
