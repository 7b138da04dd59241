// The files a job leaves.

import { type Job, jobs } from "../../api";
import { FileList } from "../../components/files";
import { Pending } from "../../components/status";
import { useResource } from "../../lib/hooks";

export function Downloads({ job }: { job: Job }) {
  const { data, error, reload } = useResource(
    (signal) => jobs.artifacts(job.id, signal),
    [job.id, job.state],
  );
  return (
    <section class="card stack tight" aria-label="Downloads">
      <div class="row between">
        <h2>Downloads</h2>
        {job.model_id && (
          <a class="button" href={`/models/${job.model_id}`}>
            Try the model
          </a>
        )}
      </div>
      {!data && <Pending error={error} what="the files" retry={reload} />}
      {data?.items.length === 0 && <p class="muted">This job left no files.</p>}
      {data && <FileList files={data.items} url={(name) => jobs.artifactUrl(job.id, name)} />}
    </section>
  );
}
