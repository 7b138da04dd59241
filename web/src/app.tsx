// The frame around every page: navigation, banner and footer.

import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { system } from "./api";
import { connection } from "./api/connection";
import { useConnection, useResource } from "./lib/hooks";
import { ComparePage } from "./pages/compare";
import { DatasetPage } from "./pages/dataset";
import { DatasetsPage } from "./pages/datasets";
import { JobPage } from "./pages/job/page";
import { JobsPage } from "./pages/jobs";
import { ModelPage } from "./pages/model";
import { ModelsPage } from "./pages/models";
import { NewJobPage } from "./pages/newJob";
import { SystemPage } from "./pages/system";
import { useLocation } from "./router";

const PLACES = [
  { path: "/jobs", label: "Jobs" },
  { path: "/datasets", label: "Data sets" },
  { path: "/models", label: "Models" },
  { path: "/system", label: "System" },
];

export function App() {
  const url = useLocation();
  const [place = "jobs", id] = url.pathname.split("/").filter(Boolean);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  // Moves the focus to each new page, but not to the first
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [url.pathname]);

  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <div class="inner">
          <a class="brand" href="/jobs">
            <img src="/favicon.svg" alt="" width="24" height="24" /> Blazetune
          </a>
          <nav aria-label="Main">
            {PLACES.map(({ path, label }) => (
              <a key={path} href={path} aria-current={path === `/${place}` ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
        </div>
      </header>
      <Banner />
      <main id="main" ref={main} tabIndex={-1}>
        <Page key={url.pathname} place={place} id={id} url={url} />
      </main>
      <Footer />
    </>
  );
}

interface PageProps {
  place: string;
  id: string | undefined;
  url: URL;
}

function Page({ place, id, url }: PageProps) {
  const [broken] = useErrorBoundary((error) => console.error(error));
  if (broken) {
    return (
      <section class="empty">
        <h1>This page crashed</h1>
        <p>{String(broken)}</p>
        <a class="button" href={url.href} target="_self">
          Reload
        </a>
      </section>
    );
  }
  if (place === "jobs" && id === "new") return <NewJobPage query={url.searchParams} />;
  if (place === "jobs") return id ? <JobPage key={id} id={id} /> : <JobsPage />;
  if (place === "datasets") return id ? <DatasetPage key={id} id={id} /> : <DatasetsPage />;
  if (place === "models" && id === "compare") return <ComparePage query={url.searchParams} />;
  if (place === "models") return id ? <ModelPage key={id} id={id} /> : <ModelsPage />;
  if (place === "system") return <SystemPage />;
  return (
    <section class="empty">
      <h1>Page not found</h1>
      <p>
        <a href="/jobs">Go to jobs</a>
      </p>
    </section>
  );
}

function Banner() {
  const { lost } = useConnection();
  return (
    <div role="status" aria-live="polite">
      {lost && (
        <div class="banner">
          <span>Connection to the server lost. Training continues; reconnecting …</span>
          <button type="button" class="small" onClick={() => connection.retryNow()}>
            Retry now
          </button>
        </div>
      )}
    </div>
  );
}

function Footer() {
  const { data } = useResource(system, []);
  return (
    <footer class="bottom">
      <div class="inner">
        <span>Blazetune {data?.version ?? ""}</span>
        <span>
          <a href="/system">System</a>
        </span>
      </div>
    </footer>
  );
}
