// Names, tags and compares models.

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

test("a trained model is named, tagged and compared", async ({ page }) => {
  const complaints = listen(page);
  const api = `${server.url}/api/v1`;

  await test.step("a job trains a model", async () => {
    await page.goto(`${server.url}/datasets`);
    await page.locator("input[type=file]").setInputFiles(await server.sample(IMAGES));
    await expect(page.locator("[data-state=ready]")).toBeVisible({ timeout: 300_000 });
    const { items } = await (await page.request.get(`${api}/datasets`)).json();
    const params = { epochs: 1, batch_size: 4, device: "cpu" };
    const data = { kind: "train", name: "tuned", dataset_id: items[0].id, params };
    const job = await (await page.request.post(`${api}/jobs`, { data })).json();
    await page.goto(`${server.url}/jobs/${job.id}`);
    await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 300_000 });
  });

  await test.step("the model's page changes its name and tags", async () => {
    await page.goto(`${server.url}/models`);
    await page.getByRole("link", { name: "tuned", exact: true }).click();
    const form = page.getByRole("region", { name: "Provenance" });
    await form.getByLabel("Name").fill("night shift");
    await form.getByLabel("Tags").fill("camera 3, dusk");
    await form.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("heading", { name: "night shift", exact: true })).toBeVisible();
    await page.goto(`${server.url}/models`);
    await expect(page.getByText("camera 3", { exact: true })).toBeVisible();
  });

  await test.step("it is compared with MediaPipe's model, in both directions", async () => {
    await page.getByRole("link", { name: "Compare two" }).click();
    const figure = page.locator("[data-figure=ap50_ge12] dd");
    await expect(figure).toContainText(/\d\.\d{3} → \d\.\d{3}[+−]\d\.\d{3}/);
    const first = page.getByLabel("First").getByRole("combobox");
    await expect(first).toHaveValue("base");
    const text = await figure.textContent();
    await first.selectOption({ label: "night shift" });
    await expect(page).toHaveURL(/compare\?a=[0-9a-f-]{36}/);
    const second = page.getByLabel("Second").getByRole("combobox");
    await second.selectOption("base");
    await expect(page).toHaveURL(/&b=base$/);
    await expect(figure).toContainText(/\d\.\d{3} → \d\.\d{3}/);
    const [before, after] = text?.match(/\d\.\d{3}/g) ?? [];
    await expect(figure).toContainText(`${after} → ${before}`);
    await expect(page.locator("tr[data-figure=loss] td")).toHaveCount(4);
    await page.screenshot({ path: "test-results/compare.png", fullPage: true });
  });

  await test.step("the page fits a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(360);
  });

  expect(complaints).toEqual([]);
});
