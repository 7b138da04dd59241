// All jobs, newest first.

import { type Dataset, datasets, type Job, jobs } from "../api";
import { Ago, Badge, Bar, Pending } from "../components/status";
import { duration, score } from "../lib/format";
import { useNow, useResource, useTitle } from "../lib/hooks";
import { elapsed, KINDS, MAIN, share, stage } from "../lib/jobs";

export function JobsPage() {
  useTitle("Jobs");
  const { data, error, reload } = useResource(jobs.list, [], ({ items }) =>
    items.some(({ is_final }) => !is_final) ? 1500 : 10_000,
  );
  const sets = useResource(datasets.list, []);
  const names = new Map(sets.data?.items.map(({ id, name }) => [id, name]));
  return (
    <>
      <div class="head">
        <h1>Jobs</h1>
        <a class="button primary" href="/jobs/new">
          New job
        </a>
      </div>
      {!data && <Pending error={error} what="jobs" retry={reload} />}
      {data?.items.length === 0 && <FirstSteps sets={sets.data?.items} />}
      {data && data.items.length > 0 && (
        <ul class="cards" aria-label="Jobs">
          {data.items.map((job) => (
            <Card key={job.id} job={job} dataset={names.get(job.dataset_id ?? "")} />
          ))}
        </ul>
      )}
    </>
  );
}

function Card({ job, dataset }: { job: Job; dataset: string | undefined }) {
  const { id, kind, name, state, error, created_at, progress, best } = job;
  const now = useNow(1000);
  const active = !job.is_final;
  return (
    <li class="card link" data-job={id}>
      <div class="row between">
        <h2>
          <a href={`/jobs/${id}`}>{name || "Unnamed job"}</a>
        </h2>
        <Badge state={state} />
      </div>
      <div class="facts">
        {job.dataset_id && <span>{dataset ?? "data set"}</span>}
        <span data-kind={kind}>{KINDS[kind]}</span>
        <span>{stage(job)}</span>
        {best && (
          <span title="Average precision for faces of at least 6 pixels, before and after">
            AP ≥ 6 px {job.baseline && <span class="muted">{score(job.baseline[MAIN])} → </span>}
            <b>{score(best.metrics[MAIN])}</b>
          </span>
        )}
        {state === "running" && progress?.eta_s != null && (
          <span>{duration(progress.eta_s)} left</span>
        )}
        {!active && elapsed(job, now) !== undefined && (
          <span>took {duration(elapsed(job, now))}</span>
        )}
        <span class="muted">
          <Ago time={created_at} />
        </span>
      </div>
      {active && state !== "queued" && (
        <Bar done={share(job)} total={1} label={`Progress of ${name}`} />
      )}
      {error && <p class="error-text">{error}</p>}
    </li>
  );
}

function FirstSteps({ sets }: { sets: Dataset[] | undefined }) {
  const ready = sets?.some(({ status }) => status === "ready");
  return (
    <section class="empty">
      <h2>Three steps to your own face detector</h2>
      <ol class="steps">
        <li class={ready ? "done" : ""}>
          <b>Upload pictures</b> with boxes around the faces, as a <a href="/datasets">data set</a>.
        </li>
        <li>
          <b>Start a job.</b> It starts from MediaPipe's weights and shows its progress while it
          trains.
        </li>
        <li>
          <b>Download the model</b> as a <code>.tflite</code> file for MediaPipe, or for PyTorch or
          ONNX Runtime.
        </li>
      </ol>
      {ready ? (
        <a class="button primary" href="/jobs/new">
          Start the first job
        </a>
      ) : (
        <a class="button primary" href="/datasets">
          Upload a data set
        </a>
      )}
    </section>
  );
}
