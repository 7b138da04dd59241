// A job's files.

import { type Job, jobs } from "../../api";
import { FileList } from "../../components/files";
import { Pending } from "../../components/status";
import { useResource } from "../../lib/hooks";

interface Props {
  job: Job;
  /** Files that the page shows elsewhere. */
  except?: RegExp;
}

export function Downloads({ job, except }: Props) {
  const { data, error, reload } = useResource(
    (signal) => jobs.artifacts(job.id, signal),
    [job.id, job.state],
  );
  const files = data?.items.filter(({ name }) => !except?.test(name));
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
      {files?.length === 0 && <p class="muted">This job has no files.</p>}
      {files && <FileList files={files} url={(name) => jobs.artifactUrl(job.id, name)} />}
    </section>
  );
}
