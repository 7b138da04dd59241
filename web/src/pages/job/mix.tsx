// The page of a job that mixes a model with the base model.

import { useEffect } from "preact/hooks";
import { type Job, models } from "../../api";
import { Pending } from "../../components/status";
import { useResource } from "../../lib/hooks";
import { recommendedThreshold } from "../../lib/models";
import type { LiveJob } from "../../lib/live";
import { Figures } from "./figures";
import { History } from "./history";
import { JobHeader } from "./header";
import { Log } from "./log";
import { Parameters } from "./parameters";

const REFRESH_MS = 1000;

export function MixContent({ live, job }: { live: LiveJob; job: Job }) {
  // Its events report only states, so this polls the progress
  useEffect(() => {
    if (job.is_final) return;
    const timer = setInterval(live.refresh, REFRESH_MS);
    return () => clearInterval(timer);
  }, [job.id, job.is_final]);

  return (
    <>
      <p class="crumbs">
        <a href="/jobs">Jobs</a>
      </p>
      <JobHeader job={job} dataset={undefined} refresh={live.refresh} />
      {job.model_id && <Result id={job.model_id} />}
      <section class="grid two">
        <Log id={job.id} active={!job.is_final} />
        <Parameters params={job.params} />
        <History id={job.id} state={job.state} restarts={job.restarts ?? 0} />
      </section>
    </>
  );
}

function Result({ id }: { id: string }) {
  const { data, error, reload } = useResource((signal) => models.find(id, signal), [id]);
  if (!data) return <Pending error={error} what="the model" retry={reload} />;
  const { best, baseline } = data.metrics ?? {};
  return (
    <section class="card stack tight" aria-label="Model">
      <h2>
        <a href={`/models/${id}`}>{data.name}</a>
      </h2>
      {best && baseline ? (
        <Figures before={baseline} after={best} threshold={recommendedThreshold(data)}>
          Base model → mix, on the whole validation set.
        </Figures>
      ) : (
        <p class="muted small">Not measured: the model's data set is not on this server.</p>
      )}
      <div class="row">
        <a class="button primary" href={`/models/${id}`}>
          Try or download it
        </a>
      </div>
    </section>
  );
}
