// The pictures with the most mistakes, as drawn by the evaluation.

import { useState } from "preact/hooks";
import { type EvaluatedModel, type Job, jobs, type WorstPicture } from "../../api";
import { Enlarged } from "../../components/enlarged";

interface Drawing extends WorstPicture {
  src: string;
}

export function WorstPictures({ job, models }: { job: Job; models: EvaluatedModel[] }) {
  const [chosen, setChosen] = useState(0);
  const [open, setOpen] = useState<Drawing>();
  const drawings = (models[chosen]?.worst ?? []).map((picture, index) => ({
    ...picture,
    src: jobs.artifactUrl(job.id, fileName(chosen, index)),
  }));
  return (
    <section class="stack" aria-label="Worst pictures">
      <div class="row between">
        <h2>Worst pictures</h2>
        {models.length === 2 && (
          <fieldset class="segments" aria-label="Model">
            {models.map(({ model }, index) => (
              <button
                key={index}
                type="button"
                aria-pressed={chosen === index}
                onClick={() => setChosen(index)}
              >
                {model}
              </button>
            ))}
          </fieldset>
        )}
      </div>
      <p class="muted small">
        At the best threshold. Green: labelled faces. Yellow: missed faces of at least 12 pixels of
        the 128-pixel input. Red: false detections.
      </p>
      {drawings.length === 0 && <p class="muted">No picture has any mistakes.</p>}
      <ul class="pictures samples">
        {drawings.map((drawing) => (
          <li key={drawing.src} style={{ "--shape": 1 }} data-worst={drawing.name}>
            <button
              type="button"
              class="open"
              onClick={() => setOpen(drawing)}
              aria-label={`Enlarge ${drawing.name}`}
            >
              <img class="drawing" src={drawing.src} alt={drawing.name} loading="lazy" />
            </button>
            <Mistakes drawing={drawing} />
          </li>
        ))}
      </ul>
      {open && (
        <Enlarged
          name={open.name}
          close={() => setOpen(undefined)}
          actions={
            <a class="button" href={open.src} download>
              Download
            </a>
          }
        >
          <img src={open.src} alt={open.name} />
        </Enlarged>
      )}
    </section>
  );
}

/** The file name that the worker uses. */
function fileName(model: number, index: number): string {
  return `worst${model === 0 ? "" : "_compare"}_${String(index + 1).padStart(2, "0")}.jpg`;
}

function Mistakes({ drawing: { name, missed, false_detections } }: { drawing: Drawing }) {
  return (
    <div class="caption">
      <span title={name}>{name}</span>
      <span class="muted">
        {missed} missed, {false_detections} false
      </span>
    </div>
  );
}
