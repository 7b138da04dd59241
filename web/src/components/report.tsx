// The face sizes and the problems that an import found.

import { datasets, type FaceSizes, type ImportReport as Report } from "../api";
import { integer, plural } from "../lib/format";

export function FaceSizeBars({ sizes }: { sizes: FaceSizes[] }) {
  const total = sizes.reduce((sum, { count }) => sum + count, 0);
  const most = Math.max(1, ...sizes.map(({ count }) => count));
  return (
    <section class="card" aria-label="Face sizes">
      <h2 class="quiet">Face sizes, in pixels of the network's 128-pixel input</h2>
      <table class="bars">
        <tbody>
          {sizes.map(({ from, to, count }) => (
            <tr key={from}>
              <th scope="row">
                {to === null ? `≥ ${from}` : from === 0 ? `< ${to}` : `${from}–${to}`}
              </th>
              <td class="bar-cell">
                {count > 0 && <span style={{ width: `${(count / most) * 100}%` }} />}
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

export function ImportReport({ id, report }: { id: string; report: Report }) {
  const { problems, counts, notes, rows, files } = report;
  const kinds = Object.entries(counts);
  const all = kinds.reduce((sum, [, count]) => sum + count, 0);
  if (!all && !notes.length) return null;
  return (
    <section class="card stack tight" aria-label="Import report">
      <h2>Import report</h2>
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
      {rows && files && (
        <p class="muted">
          {plural(rows.given, "row")}: {plural(rows.faces, "face")}
          {rows.empty > 0 && <>, {integer(rows.empty)} for pictures without a face</>}
          {rows.ignored > 0 && <>, {integer(rows.ignored)} ignored</>}
          <LeftOut kinds={rows.left_out} />. {plural(files.given, "file")}: {integer(files.used)} used
          <LeftOut kinds={files.left_out} />.
        </p>
      )}
      {kinds.length > 0 && (
        <ul class="facts">
          {kinds.map(([kind, count]) => (
            <li key={kind}>
              <b>{integer(count)}</b> <span class="muted">× {kind}</span>
            </li>
          ))}
        </ul>
      )}
      {problems.length > 0 && (
        <details>
          <summary>
            {problems.length < all ? "Examples of each kind" : "All problems"}
          </summary>
          <Problems problems={problems} />
        </details>
      )}
      {all > 0 && (
        <p>
          <a href={datasets.reportUrl(id)} download>
            Download all as CSV
          </a>
        </p>
      )}
    </section>
  );
}

/** The number left out; the list of kinds below gives the reasons. */
function LeftOut({ kinds }: { kinds: Record<string, number> }) {
  const count = Object.values(kinds).reduce((sum, count) => sum + count, 0);
  return count > 0 ? <>, and {integer(count)} left out</> : null;
}

function Problems({ problems }: Pick<Report, "problems">) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col">Row</th>
            <th scope="col">Problem</th>
          </tr>
        </thead>
        <tbody>
          {problems.map(({ file, row, reason }) => (
            <tr key={`${file}:${row}:${reason}`}>
              <td>{file}</td>
              <td class="number">{row}</td>
              <td>{reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
