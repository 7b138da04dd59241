// Mixes a model with the base model: the measured mixes, and a form for a new one.

import { useState } from "preact/hooks";
import { type Model, models } from "../api";
import { ErrorNote } from "../components/status";
import { score } from "../lib/format";
import { useAction } from "../lib/hooks";
import { navigate } from "../router";

export function Mix({ model }: { model: Model }) {
  const retention = model.metrics?.retention;
  const [percent, setPercent] = useState(Math.round((retention?.retain ?? 0) * 100));
  const { start, busy, error } = useAction(async () => {
    const job = await models.mix(model.id, percent / 100);
    navigate(`/jobs/${job.id}`);
  });
  return (
    <section class="card stack tight" aria-label="Mix">
      <h2>Mix with MediaPipe's weights</h2>
      <p class="muted small">
        Keeping some of the base model recovers faces that fine-tuning forgot, but loses some small
        ones.
      </p>
      {retention?.curve && retention.curve.length > 1 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>Kept</th>
                <th>AP ≥ 6 px</th>
                <th>≥ 12 px</th>
                <th>≥ 24 px</th>
              </tr>
            </thead>
            <tbody>
              {retention.curve.map(({ retain, val }) => (
                <tr key={retain} aria-current={retain === retention.retain}>
                  <td>
                    {Math.round(retain * 100)} %{retain === retention.retain && " – chosen"}
                  </td>
                  <td>{score(val.ap50_ge6)}</td>
                  <td>{score(val.ap50_ge12)}</td>
                  <td>{score(val.ap50_ge24)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div class="row">
        <label for="retain">Keep {percent} % of the base model</label>
        <input
          id="retain"
          type="range"
          min={0}
          max={100}
          step={5}
          value={percent}
          onInput={(event) => setPercent(Number(event.currentTarget.value))}
        />
        <button type="button" disabled={busy} onClick={() => void start()}>
          {busy ? "Starting …" : "Make this mix"}
        </button>
      </div>
      {error && <ErrorNote error={error} />}
    </section>
  );
}
