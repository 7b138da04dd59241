// The page of a job, updated live.

import { datasets, type Job, jobs, models } from "../../api";
import { Pending } from "../../components/status";
import { useResource, useTitle } from "../../lib/hooks";
import { bestRow } from "../../lib/jobs";
import { type LiveJob, useLiveJob } from "../../lib/live";
import { recommendedThreshold } from "../../lib/models";
import { Charts } from "./charts";
import { Diagnostics } from "./diagnostics";
import { Downloads } from "./downloads";
import { EvaluationContent } from "./evaluation";
import { Extend } from "./extend";
import { JobFigures } from "./figures";
import { History } from "./history";
import { JobHeader } from "./header";
import { Log } from "./log";
import { MixContent } from "./mix";
import { Parameters } from "./parameters";
import { SampleDetections } from "./samples";

export function JobPage({ id }: { id: string }) {
  const live = useLiveJob(id);
  useTitle(live.job?.name);
  if (!live.job) return <Pending error={live.error} what="the job" retry={live.refresh} />;
  if (live.job.kind === "evaluate") return <EvaluationContent live={live} job={live.job} />;
  if (live.job.kind === "mix") return <MixContent live={live} job={live.job} />;
  return <Content live={live} job={live.job} />;
}

function Content({ live, job }: { live: LiveJob; job: Job }) {
  const { rows, step, samples } = live;
  const over = job.is_final;
  const dataset = useResource(
    async (signal) => (job.dataset_id ? datasets.find(job.dataset_id, signal) : undefined),
    [job.dataset_id],
  );
  const model = useResource(
    async (signal) => (job.model_id ? models.find(job.model_id, signal) : undefined),
    [job.model_id],
  );
  const done = rows.at(-1)?.epoch ?? 0;
  const planned = job.progress?.epochs || Number(job.params.epochs ?? 12);
  return (
    <>
      <p class="crumbs">
        <a href="/jobs">Jobs</a>
      </p>
      <JobHeader job={job} dataset={dataset.data} refresh={live.refresh} />
      <JobFigures
        baseline={rows[0]?.epoch === 0 ? rows[0] : undefined}
        best={bestRow(rows)}
        over={over}
        threshold={model.data && recommendedThreshold(model.data)}
      />
      <Charts
        rows={rows}
        step={step}
        planned={planned}
        over={over}
        csvUrl={jobs.metricsUrl(job.id)}
        name={job.name}
      />
      <SampleDetections
        job={job}
        latest={samples}
        threshold={bestRow(rows)?.val.best_threshold ?? 0.5}
      />
      <Diagnostics job={job} rows={rows} step={step} planned={planned} over={over} />
      {over && job.state !== "cancelled" && <Downloads job={job} />}
      {job.verbs.includes("extend") && done > 0 && <Extend job={job} done={done} />}
      <section class="grid two">
        <Log id={job.id} active={!over} />
        <Parameters params={job.params} />
        <History id={job.id} state={job.state} restarts={job.restarts ?? 0} />
      </section>
    </>
  );
}
