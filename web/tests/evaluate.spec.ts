// Evaluates a model next to MediaPipe's, from the model's page to the report.

import { expect, test } from "@playwright/test";
import { listen } from "./complaints";
import { Server } from "./server";

const IMAGES = 20;

let server: Server;

test.beforeAll(async () => {
  server = await Server.create();
});

test.afterAll(async () => {
  await server?.remove();
});

test("a model is evaluated next to MediaPipe's", async ({ page }) => {
  const complaints = listen(page);

  await test.step("a data set and a model are uploaded", async () => {
    await page.goto(`${server.url}/datasets`);
    await page.locator("input[type=file]").setInputFiles(await server.sample(IMAGES));
    await expect(page.locator("[data-state=ready]")).toBeVisible({ timeout: 300_000 });
    const { files } = await (await page.request.get(`${server.url}/api/v1/models/base`)).json();
    const weights = await page.request.get(`${server.url}/api/v1/models/base/${files[0].name}`);
    await page.goto(`${server.url}/models`);
    await page.locator("input[type=file]").setInputFiles({
      name: "again.tflite",
      mimeType: "application/octet-stream",
      buffer: await weights.body(),
    });
    await expect(page.getByRole("heading", { name: "again", exact: true })).toBeVisible();
  });

  await test.step("the model's page starts an evaluation", async () => {
    const form = page.getByRole("region", { name: "Evaluate" });
    await expect(form.getByLabel("Compare with MediaPipe's model")).toBeChecked();
    await form.getByRole("button", { name: "Evaluate" }).click();
    await expect(page).toHaveURL(/\/jobs\/[0-9a-f-]{36}$/);
    await expect(page.getByRole("heading", { name: "again on sample" })).toBeVisible();
    await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 300_000 });
  });

  await test.step("the report has metrics of both, by size, and the worst pictures", async () => {
    // Both models have the same weights, so all differences are 0.
    for (const figure of ["ap50", "ap50_ge6", "ap50_ge12", "ap50_ge24", "best_f1"]) {
      await expect(page.locator(`[data-figure=${figure}] dd`)).toContainText("+0.000");
    }
    await expect(page.locator("[data-threshold]")).toHaveText(/^0\.\d\d$/);
    const sizes = page.getByRole("region", { name: "Average precision by face size" });
    await expect(sizes.locator("tbody tr")).toHaveCount(8);
    await expect(sizes.getByRole("columnheader", { name: "mediapipe" })).toBeVisible();
    const worst = page.getByRole("region", { name: "Worst pictures" });
    const drawing = worst.locator("img").first();
    await drawing.scrollIntoViewIfNeeded();
    await expect
      .poll(() => drawing.evaluate((image: HTMLImageElement) => image.naturalWidth))
      .toBeGreaterThan(0);
    await worst.getByRole("button", { name: "mediapipe" }).click();
    await expect(drawing).toHaveAttribute("src", /worst_compare_01\.jpg$/);
    await worst.getByRole("button", { name: /^Enlarge/ }).first().click();
    const dialog = page.getByRole("dialog");
    await expect(dialog.locator("img")).toHaveAttribute("src", /worst_compare_01\.jpg$/);
    await expect(dialog.getByRole("link", { name: "Download" })).toBeVisible();
    await dialog.getByRole("button", { name: "Close" }).click();
    await expect(dialog).toHaveCount(0);
    await expect(page.locator("[data-chart]")).toHaveCount(0);
    await expect(page.locator("[data-file='report.json']")).toBeVisible();
  });

  await test.step("the page fits a phone, and the list shows the job's kind", async () => {
    await page.screenshot({ path: "test-results/evaluation.png", fullPage: true });
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(360);
    await page.goto(`${server.url}/jobs`);
    await expect(page.locator("[data-kind=evaluate]")).toHaveText("evaluation");
  });

  expect(complaints).toEqual([]);
});
