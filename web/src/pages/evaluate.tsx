// Starts an evaluation of a model on a data set.

import { useState } from "preact/hooks";
import { datasets, jobs, type Model, type SplitChoice } from "../api";
import { ErrorNote, Pending } from "../components/status";
import { plural } from "../lib/format";
import { useAction, useResource } from "../lib/hooks";
import { navigate } from "../router";

const MEDIAPIPE = "mediapipe";

export function Evaluate({ model }: { model: Model }) {
  const sets = useResource(datasets.list, []);
  const ready = sets.data?.items.filter(({ status }) => status === "ready") ?? [];
  const isBase = model.kind === "base";
  const [chosen, setChosen] = useState<string>();
  const [compares, setCompares] = useState(true);
  const [split, setSplit] = useState<SplitChoice>("val");
  const dataset = ready.find(({ id }) => id === chosen) ?? ready[0];
  const { start, busy, error } = useAction(async () => {
    if (!dataset) return;
    const job = await jobs.evaluate({
      kind: "evaluate",
      name: `${model.name} on ${dataset.name}`.slice(0, 200),
      dataset_id: dataset.id,
      split: dataset.splits?.test?.images ? split : "val",
      model_id: isBase ? MEDIAPIPE : model.id,
      ...(compares && !isBase && { compare_with: MEDIAPIPE }),
    });
    navigate(`/jobs/${job.id}`);
  });
  return (
    <section class="card stack tight" aria-label="Evaluate">
      <h2>Evaluate</h2>
      <p class="muted small">
        Measures average precision by face size and folder, and finds the best threshold and the
        worst pictures, on the validation or test pictures of a data set.
      </p>
      {!sets.data && <Pending error={sets.error} what="data sets" retry={sets.reload} />}
      {sets.data && !dataset && (
        <p class="muted">
          An evaluation needs a data set: <a href="/datasets">upload one</a> first.
        </p>
      )}
      {dataset && (
        <div class="row">
          <label for="evaluate-dataset">Data set</label>
          <select
            id="evaluate-dataset"
            value={dataset.id}
            onChange={(event) => setChosen(event.currentTarget.value)}
          >
            {ready.map(({ id, name, splits }) => (
              <option key={id} value={id}>
                {name} ({plural(splits?.val?.images ?? 0, "picture")})
              </option>
            ))}
          </select>
          {dataset.splits?.test?.images ? (
            <select
              aria-label="Pictures"
              value={split}
              onChange={(event) => setSplit(event.currentTarget.value as SplitChoice)}
            >
              <option value="val">Validation pictures</option>
              <option value="test">{plural(dataset.splits.test.images, "test picture")}</option>
            </select>
          ) : null}
          {!isBase && (
            <label>
              <input
                type="checkbox"
                checked={compares}
                onChange={(event) => setCompares(event.currentTarget.checked)}
              />{" "}
              Compare with MediaPipe's model
            </label>
          )}
          <button type="button" disabled={busy} onClick={() => void start()}>
            {busy ? "Starting …" : "Evaluate"}
          </button>
        </div>
      )}
      {error && <ErrorNote error={error} />}
    </section>
  );
}
