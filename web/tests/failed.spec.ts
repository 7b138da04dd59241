// The page of a failed job becomes live again without a reload.

import { readFile } from "node:fs/promises";
import { expect, test } from "@playwright/test";
import type { Dataset, Job } from "../src/api";
import { Server } from "./server";

let server: Server;

test.beforeAll(async () => {
  server = await Server.create({ BLAZETUNE__JOBS__MAX_RESTARTS: "0" });
});

test.afterAll(async () => {
  await server?.remove();
});

test("a failed job's page becomes live again after Resume and after Keep", async ({ page }) => {
  const api = `${server.url}/api/v1`;
  const archive = await readFile(await server.sample(60));
  const headers = { "content-type": "application/zip" };
  const sent = await page.request.post(`${api}/datasets`, { data: archive, headers });
  const dataset = (await sent.json()) as Dataset;
  await expect
    .poll(async () => (await (await page.request.get(`${api}/datasets/${dataset.id}`)).json()).status)
    .toBe("ready");
  const asked = await page.request.post(`${api}/jobs`, {
    data: { kind: "train", dataset_id: dataset.id, params: { epochs: 2000, batch_size: 8 } },
  });
  const job = (await asked.json()) as Job;

  await page.goto(`${server.url}/jobs/${job.id}`);
  const loss = page.locator('[data-chart="Loss"]');
  const points = async () => Number(await loss.getAttribute("data-points"));
  await expect.poll(points, { timeout: 120_000 }).toBeGreaterThan(2);
  await server.killWorker(job.id);
  await expect(page.locator("[data-state=failed]")).toBeVisible({ timeout: 60_000 });
  const before = await points();

  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page.locator("[data-state=running]")).toBeVisible({ timeout: 60_000 });
  await expect.poll(points, { timeout: 120_000 }).toBeGreaterThan(before + 1);

  await server.killWorker(job.id);
  await expect(page.locator("[data-state=failed]")).toBeVisible({ timeout: 60_000 });
  await page.getByRole("button", { name: "Keep the best model" }).click();
  await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 120_000 });
  await expect(page.locator("[data-file='best.tflite']")).toBeVisible();
});
