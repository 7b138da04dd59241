// A job as it happens: loaded once, then kept up to date by its events.

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
  /** By epoch, the baseline first. */
  rows: MetricsRow[];
  /** The latest within the epoch under way. */
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

/** Holds what is known of one job; many events between two frames make one repaint. */
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
  /** Its events are listened to, or will be again. */
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
    // Opened before the metrics are loaded, so that no epoch is missed in between.
    this.#isFollowing = !this.#job.is_final;
    if (this.#isFollowing) this.#open();
    await this.#loadRows();
    // The events of a live job bring its samples, once there are some.
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
    // The first connection replays all that ever happened, so a state may be an old one: ask.
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
    // Replayed steps are passed over until they reach what the job itself says.
    this.#isReplaying &&= known != null && isBefore(step, known);
    if (this.#isReplaying) return;
    this.#step = step;
    const { epoch, epochs, images_per_s, eta_s } = step;
    const progress = { epoch, epochs, step: step.step, steps: step.steps, images_per_s, eta_s };
    if (this.#job) this.#job = { ...this.#job, progress };
  }

  /** `EventSource` reconnects by itself after a broken line, but not after a refusal. */
  #interrupted(source: EventSource) {
    void this.#refresh();
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.#reopen);
    this.#reopen = setTimeout(() => this.#paint && void this.#start(), REOPEN_MS);
  }

  /** Many events, one question. */
  #refreshSoon() {
    this.#refreshing ??= setTimeout(() => {
      this.#refreshing = undefined;
      void this.#refresh();
    }, REFRESH_MS);
  }

  /** After a verb: a job that had ended may have come back to life. */
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
      // There are none yet: the page says so by itself.
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
