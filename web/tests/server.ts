// Runs the real server in a temporary folder.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Job, Page } from "../src/api";

const BINARY = path.resolve(
  process.env.BLAZETUNE_BIN ?? path.join(import.meta.dirname, "../../target/release/blazetune"),
);
const START_MS = 60_000;

export class Server {
  readonly folder: string;
  url = "";
  #process: ChildProcess | undefined;

  readonly #settings: Record<string, string>;

  private constructor(folder: string, settings: Record<string, string>) {
    this.folder = folder;
    this.#settings = settings;
  }

  /** Starts a server with these settings, given as environment variables. */
  static async create(settings: Record<string, string> = {}): Promise<Server> {
    const folder = await mkdtemp(path.join(tmpdir(), "blazetune-web-"));
    const server = new Server(folder, settings);
    await server.start("127.0.0.1:0");
    return server;
  }

  /** Starts the server in its folder, by default at the same address as before. */
  async start(listen = new URL(this.url).host) {
    const data = path.join(this.folder, "data");
    // On a busy machine, threads that wait for each other are far slower than a single one.
    const env = { BLAZETUNE__DEVICES__CPU_THREADS: "1", ...process.env, ...this.#settings };
    const child = spawn(BINARY, ["serve", "--data", data, "--listen", listen], { env });
    this.#process = child;
    this.url = await new Promise<string>((resolve, reject) => {
      let said = "";
      const timer = setTimeout(
        () => reject(new Error(`the server reported no address within a minute:\n${said}`)),
        START_MS,
      );
      const listened = (chunk: Buffer) => {
        said += chunk;
        const found = /listening on (http:\/\/[\w.:[\]]+)/.exec(said);
        if (!found?.[1]) return;
        clearTimeout(timer);
        resolve(found[1]);
      };
      child.stdout.on("data", listened);
      child.stderr.on("data", listened);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${said}`)));
    });
  }

  async stop() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }

  /** Draws a small data set and returns its path. */
  async sample(images: number): Promise<string> {
    const file = path.join(this.folder, "sample.zip");
    const args = ["sample", "--out", file, "--images", String(images), "--seed", "1"];
    await promisify(execFile)(BINARY, args);
    return file;
  }

  /** Kills a job's worker. */
  async killWorker(job: string) {
    await promisify(execFile)("pkill", ["-KILL", "-f", path.join("data", "jobs", job)]);
  }

  async remove() {
    await this.#cancelJobs().catch(() => {});
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
  /** Cancels all jobs: workers outlive the server, so a failed test would leave them running. */
  async #cancelJobs() {
    const active = async () => {
      const { items } = (await (await fetch(`${this.url}/api/v1/jobs`)).json()) as Page<Job>;
      return items.filter(({ finished_at }) => !finished_at);
    };
    for (const { id } of await active()) {
      await fetch(`${this.url}/api/v1/jobs/${id}/cancel`, { method: "POST" });
    }
    for (let tries = 0; tries < 100 && (await active()).length; tries++) await sleep(100);
  }
}
