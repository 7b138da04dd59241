// A job's parameters.

import { title } from "../../lib/format";
import { flatten, labelOf } from "../../lib/schema";

export function Parameters({ params }: { params: object }) {
  const all = [...flatten(params)];
  return (
    <section class="card stack tight" aria-label="Parameters">
      <h2>Parameters</h2>
      {all.length === 0 && <p class="muted">All parameters have their default values.</p>}
      <dl class="params">
        {all.map(([pointer, value]) => (
          <div key={pointer}>
            <dt>{label(pointer)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** `/views/scale_max` → `Views: scale max` */
function label(pointer: string): string {
  const [first = "", second] = pointer.slice(1).split("/");
  const own = labelOf(pointer);
  return second === undefined ? own : `${title(first)}: ${own.toLowerCase()}`;
}
