// A job's name, state, progress and actions.

import type { ComponentChildren } from "preact";
import { type Dataset, type Job, jobs, type Verb } from "../../api";
import { ConfirmButton } from "../../components/confirm";
import { Ago, Badge, Bar, ErrorNote } from "../../components/status";
import { duration, short } from "../../lib/format";
import { useAction, useNow } from "../../lib/hooks";
import { elapsed, KINDS, share, stage } from "../../lib/jobs";
import { navigate } from "../../router";

interface Props {
  job: Job;
  dataset: Dataset | undefined;
  refresh: () => void;
}

export function JobHeader({ job, dataset, refresh }: Props) {
  const active = !job.is_final;
  return (
    <>
      <div class="head">
        <div>
          <div class="row">
            <h1>{job.name || "Unnamed job"}</h1>
            <Badge state={job.state} />
          </div>
          <p class="muted facts">
            {job.kind !== "train" && <span>{KINDS[job.kind]}</span>}
            {job.dataset_id ? (
              <a href={`/datasets/${job.dataset_id}`}>{dataset?.name ?? "data set"}</a>
            ) : (
              job.kind !== "mix" && <span>deleted data set</span>
            )}
            {job.device && <span>on {job.device}</span>}
            {job.started_at ? (
              <span>
                started <Ago time={job.started_at} />
              </span>
            ) : (
              <span>
                queued <Ago time={job.created_at} />
              </span>
            )}
            {!active && <Ended job={job} />}
            {(job.batch_divisor ?? 1) > 1 && <span>batches ÷ {job.batch_divisor} to save memory</span>}
            {job.state === "queued" && job.not_before && <span>not before {job.not_before}</span>}
            {job.time_limit_s && <span>time limit {duration(job.time_limit_s)}</span>}
          </p>
        </div>
        <Actions job={job} refresh={refresh} />
      </div>
      {active && <Progress job={job} />}
      {job.error && (
        <div class="note bad" role="alert">
          <div>
            <strong>
              {job.state === "failed" && "The job failed"}
              {job.hold === "disk_full" && "Waiting for disk space; the job then resumes by itself"}
              {job.hold === "disk_error" && "Fix the disk, then resume the job"}
              {job.state !== "failed" && !job.hold && "The job reported a problem"}
            </strong>
            <p>{job.error}</p>
          </div>
        </div>
      )}
    </>
  );
}

function Progress({ job }: { job: Job }) {
  const now = useNow(1000);
  const { state, progress } = job;
  const done = share(job);
  return (
    <section class="card stack tight progress" aria-label="Progress">
      <div class="row between">
        <b data-stage={stage(job)}>{stage(job)}</b>
        <span class="muted">{Math.round(done * 100)} %</span>
      </div>
      <Bar done={done} total={1} label="Progress of the job" />
      <div class="facts">
        {state === "running" && progress?.eta_s != null && (
          <Fact label="left">{duration(progress.eta_s)}</Fact>
        )}
        {progress?.images_per_s ? (
          <Fact label="images/s">{short(Math.round(progress.images_per_s))}</Fact>
        ) : null}
        {progress && progress.steps > 0 && (
          <Fact label={`of ${progress.steps} ${job.kind === "train" ? "steps" : "pictures"}`}>{String(progress.step)}</Fact>
        )}
        {job.started_at && <Fact label="so far">{duration(elapsed(job, now))}</Fact>}
      </div>
    </section>
  );
}

function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <span>
      <b>{children}</b> <span class="muted">{label}</span>
    </span>
  );
}

function Ended({ job }: { job: Job }) {
  const seconds = elapsed(job, Date.now());
  return (
    <>
      {seconds !== undefined && <span>took {duration(seconds)}</span>}
      {job.progress?.epoch ? <span>{stage(job)}</span> : null}
    </>
  );
}

const LABELS: Record<Verb, string> = {
  front: "Run next",
  pause: "Pause",
  resume: "Resume",
  stop: "Stop",
  cancel: "Cancel",
};

const HINTS: Record<Verb, string> = {
  pause: "Saves a checkpoint and frees the device; the job can continue from there later.",
  resume: "Continues from the last checkpoint as soon as a device is free.",
  stop: "Ends early and keeps the best model so far.",
  cancel: "Ends now and discards the result.",
  front: "Moves the job before all other queued jobs of the same priority.",
};

const DISCARDED: Record<Job["kind"], string> = {
  train:
    "Training ends now and its result is discarded. To keep the best model so far, stop the job instead.",
  evaluate: "The evaluation ends now, without a report.",
  mix: "The job ends now, without a model.",
};

const DELETED: Record<Job["kind"], string> = {
  train: "Its metrics, checkpoints and models are deleted from the server.",
  evaluate: "Its report is deleted from the server.",
  mix: "Its model is deleted from the server.",
};

function Actions({ job, refresh }: { job: Job; refresh: () => void }) {
  const { start, busy, error } = useAction(async (verb: Verb) => {
    await jobs.act(job.id, verb);
    refresh();
  });
  const trains = job.kind === "train";
  const verbs = (["front", "pause", "resume", "stop"] as const).filter((verb) =>
    job.verbs.includes(verb),
  );
  const failed = job.state === "failed";
  return (
    <div class="actions">
      <div class="row">
        {verbs.map((verb) => (
          <button
            key={verb}
            type="button"
            disabled={busy}
            title={trains ? HINTS[verb] : undefined}
            onClick={() => start(verb)}
          >
            {failed && verb === "stop" ? "Keep the best model" : LABELS[verb]}
          </button>
        ))}
        {job.verbs.includes("cancel") && (
          <ConfirmButton
            label="Cancel"
            question={`Cancel ${job.name}?`}
            detail={DISCARDED[job.kind]}
            verb="Cancel the job"
            act={() => jobs.act(job.id, "cancel").then(refresh)}
          />
        )}
        {job.verbs.includes("delete") && (
          <ConfirmButton
            label="Delete"
            question={`Delete ${job.name}?`}
            detail={DELETED[job.kind]}
            verb="Delete"
            act={async () => {
              await jobs.remove(job.id);
              navigate("/jobs");
            }}
          />
        )}
        {job.is_final && trains && (
          <a class="button" href={`/jobs/new?from=${job.id}`}>
            Run again …
          </a>
        )}
      </div>
      {verbs.includes("stop") && !failed && (
        <p class="muted small">Stop keeps the best model so far; cancel discards it.</p>
      )}
      {job.state === "paused" && trains && <p class="muted small">{HINTS.resume}</p>}
      {error && <ErrorNote error={error} />}
    </div>
  );
}
