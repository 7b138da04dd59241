// What an import counted and complained about.

import { integer, plural, title } from "../lib/format";
import { type Finding, findings, histogram } from "../lib/report";

export function FaceSizes({ sizes }: { sizes: unknown }) {
  const bars = histogram(sizes);
  if (!bars.length) return null;
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const most = Math.max(1, ...bars.map(({ count }) => count));
  return (
    <section class="card" aria-label="Face sizes">
      <h2 class="quiet">Face sizes, in pixels of the network's 128-pixel input</h2>
      <table class="bars">
        <tbody>
          {bars.map(({ label, count }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td class="bar-cell">
                <span style={{ width: `${(count / most) * 100}%` }} />
              </td>
              <td class="number">{integer(count)}</td>
              <td class="number muted">{total ? Math.round((count / total) * 100) : 0} %</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Findings({ report }: { report: unknown }) {
  const found = findings(report).filter(({ name }) => !name.startsWith("face_sizes"));
  if (!found.length) return null;
  return (
    <section class="card stack tight">
      <h2 class="quiet">What the import noticed</h2>
      {found.map((finding) => (
        <FindingView key={finding.name} finding={finding} />
      ))}
    </section>
  );
}

function FindingView({ finding: { name, count, columns, rows } }: { finding: Finding }) {
  if (!rows.length) {
    return (
      <p>
        {title(name)}: <b>{integer(count)}</b>
      </p>
    );
  }
  return (
    <details>
      <summary>
        {title(name)} <span class="muted">({plural(count, "case")})</span>
      </summary>
      <div class="scroll">
        <table>
          {columns.length > 0 && (
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col">
                    {title(column)}
                  </th>
                ))}
              </tr>
            </thead>
          )}
          <tbody>
            {rows.map((row) => (
              <tr key={row.join()}>
                {row.map((cell, at) => (
                  <td key={columns[at] ?? at}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
