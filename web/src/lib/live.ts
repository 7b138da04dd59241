// A live job: loaded once, then kept up to date by its events.

import { useEffect, useRef, useState } from "preact/hooks";
import {
  type ApiError,
  type Job,
  jobs,
  type MetricsRow,
  type JobProgress,
  type Samples,
  type StepEvent,
} from "../api";
import { useConnection } from "./hooks";

export interface LiveJob {
  job: Job | undefined;
  error: ApiError | undefined;
  /** In order of epochs, starting with the baseline. */
  rows: MetricsRow[];
  /** The latest step of the current epoch. */
  step: StepEvent | undefined;
  samples: ReadonlyMap<number, Samples>;
  refresh: () => void;
}

const REOPEN_MS = 2000;
const REFRESH_MS = 100;

export function useLiveJob(id: string): LiveJob {
  const { returns } = useConnection();
  const [, repaint] = useState(0);
  const follower = useRef<Follower | undefined>(undefined);
  if (follower.current?.id !== id) follower.current = new Follower(id);
  const current = follower.current;

  // Starts again when the connection returns
  useEffect(() => current.follow(() => repaint((n) => n + 1)), [current, returns]);
  return current.state();
}

/** Holds the known state of one job. Repaints at most once per frame, for any number of events. */
class Follower {
  readonly id: string;
  #job: Job | undefined;
  #error: ApiError | undefined;
  #rows = new Map<number, MetricsRow>();
  #step: StepEvent | undefined;
  #samples = new Map<number, Samples>();
  #source: EventSource | undefined;
  #paint: (() => void) | undefined;
  #frame = 0;
  #reopen: ReturnType<typeof setTimeout> | undefined;
  #refreshing: ReturnType<typeof setTimeout> | undefined;
  #isReplaying = true;
  /** Whether the event stream is open or will be reopened. */
  #isFollowing = false;

  constructor(id: string) {
    this.id = id;
  }

  state(): LiveJob {
    return {
      job: this.#job,
      error: this.#error,
      rows: [...this.#rows.values()].sort((a, b) => a.epoch - b.epoch),
      step: this.#job?.state === "running" ? this.#step : undefined,
      samples: this.#samples,
      refresh: () => void this.#refreshOrFollow(),
    };
  }

  follow(paint: () => void): () => void {
    this.#paint = paint;
    void this.#start();
    return () => {
      this.#paint = undefined;
      this.#source?.close();
      clearTimeout(this.#reopen);
      clearTimeout(this.#refreshing);
      this.#refreshing = undefined;
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
    };
  }

  async #start() {
    await this.#refresh();
    if (!this.#job || !this.#paint) return;
    // Opens the stream before it loads the metrics, so that no epoch in between is missed.
    this.#isFollowing = !this.#job.is_final;
    if (this.#isFollowing) this.#open();
    await this.#loadRows();
    // The samples of a live job arrive as events.
    if (!this.#isFollowing && this.#rows.size && this.#job.kind === "train") {
      await this.#loadSamples();
    }
    this.#changed();
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(jobs.eventsUrl(this.id));
    this.#isReplaying = true;
    this.#source = source;
    const on = <T>(name: string, take: (body: T) => void) =>
      source.addEventListener(name, (event) => {
        take(JSON.parse((event as MessageEvent<string>).data) as T);
        this.#changed();
      });
    on<MetricsRow>("epoch", (row) => {
      this.#rows.set(row.epoch, row);
      this.#refreshSoon();
    });
    on<StepEvent>("step", (step) => this.#stepped(step));
    on<Samples>("sample", (samples) => this.#samples.set(samples.epoch, samples));
    // The first connection replays all events, so the state may be outdated. Fetches the job.
    on<unknown>("state", () => this.#refreshSoon());
    source.addEventListener("end", () => {
      source.close();
      this.#isFollowing = false;
      void this.#start();
    });
    source.onerror = () => this.#interrupted(source);
  }

  #stepped(step: StepEvent) {
    const known = this.#job?.progress;
    // Skips replayed steps until they reach the job's own progress.
    this.#isReplaying &&= known != null && isBefore(step, known);
    if (this.#isReplaying) return;
    this.#step = step;
    const { epoch, epochs, images_per_s, eta_s } = step;
    const progress = { epoch, epochs, step: step.step, steps: step.steps, images_per_s, eta_s };
    if (this.#job) this.#job = { ...this.#job, progress };
  }

  /** `EventSource` reconnects after a lost connection, but not after an error response. */
  #interrupted(source: EventSource) {
    void this.#refresh();
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#reopen);
    this.#reopen = setTimeout(() => this.#paint && void this.#start(), REOPEN_MS);
  }

  /** Refreshes the job once for many events. */
  #refreshSoon() {
    this.#refreshing ??= setTimeout(() => {
      this.#refreshing = undefined;
      void this.#refresh();
    }, REFRESH_MS);
  }

  /** Refreshes the job after a verb, and follows it again if the verb revived it. */
  async #refreshOrFollow() {
    await this.#refresh();
    if (this.#job && !this.#job.is_final && !this.#isFollowing && this.#paint) await this.#start();
  }

  async #refresh() {
    try {
      this.#job = await jobs.find(this.id);
      this.#error = undefined;
    } catch (error) {
      this.#error = error as ApiError;
    }
    this.#changed();
  }

  async #loadRows() {
    try {
      const { items } = await jobs.metrics(this.id);
      for (const row of items) this.#rows.set(row.epoch, row);
    } catch (error) {
      this.#error = error as ApiError;
    }
  }

  async #loadSamples() {
    try {
      const samples = await jobs.samples(this.id);
      this.#samples.set(samples.epoch, samples);
    } catch {
      // There are no samples yet, which the page shows.
    }
  }

  #changed() {
    if (this.#frame || !this.#paint) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint?.();
    });
  }
}

function isBefore(one: JobProgress, other: JobProgress): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.step < other.step);
}
