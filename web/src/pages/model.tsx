// The page of a model.

import { ApiError, models } from "../api";
import { ErrorNote, Pending } from "../components/status";
import { useResource, useTitle } from "../lib/hooks";
import { recommendedThreshold } from "../lib/models";
import { Evaluate } from "./evaluate";
import { Mix } from "./mix";
import { Downloads, Provenance } from "./provenance";
import { TryIt } from "./try";

export function ModelPage({ id }: { id: string }) {
  const { data, error, reload } = useResource(models.list, []);
  const model = data?.items.find((model) => model.id === id);
  useTitle(model?.name);
  if (!data) return <Pending error={error} what="the model" retry={reload} />;
  if (!model)
    return (
      <ErrorNote
        error={
          new ApiError(404, "Model not found", "It may have been deleted with its job.")
        }
      />
    );
  return (
    <>
      <p class="crumbs">
        <a href="/models">Models</a>
      </p>
      <div class="head">
        <h1>{model.name}</h1>
        <div class="row">
          {model.kind !== "base" && (
            <a class="button" href={`/models/compare?a=base&b=${id}`}>
              Compare
            </a>
          )}
          {model.job_id && (
            <a class="button" href={`/jobs/${model.job_id}`}>
              Job
            </a>
          )}
        </div>
      </div>
      <TryIt model={model} advice={recommendedThreshold(model) ?? 0.5} />
      <Evaluate key={`evaluate-${id}`} model={model} />
      {(model.kind === "trained" || model.kind === "mixed") && <Mix key={id} model={model} />}
      <Provenance key={`provenance-${id}`} model={model} renamed={reload} />
      <Downloads model={model} />
    </>
  );
}
