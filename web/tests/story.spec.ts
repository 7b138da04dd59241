// The whole workflow in a real browser with the real server: upload, train, watch, download, try.

import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { expect, type Page, test } from "@playwright/test";
import type { SamplePicture, Samples } from "../src/api";
import { listen } from "./complaints";
import { Server } from "./server";

/** Whether to update the README's screenshots, for which the test trains longer. */
const UPDATING = process.env.UPDATE_SCREENSHOTS === "1";
const IMAGES = UPDATING ? 400 : 60;
// Training takes long enough to be watched, even on a busy machine.
const EPOCHS = 40;
const BATCH_SIZE = UPDATING ? 32 : 8;
const FOLDERS = [
  path.join(import.meta.dirname, "../test-results"),
  ...(UPDATING ? [path.join(import.meta.dirname, "../../docs/images")] : []),
];

let server: Server;

test.beforeAll(async () => {
  server = await Server.create();
});

test.afterAll(async () => {
  await server?.remove();
});

test("pictures become a model that can be downloaded and tried", async ({ page }) => {
  const complaints = listen(page, "422"); // The test sends an invalid value on purpose.
  const archive = await server.sample(IMAGES);

  await test.step("an empty server explains the first steps", async () => {
    await page.goto(server.url);
    await expect(page.getByRole("heading", { name: "Three steps" })).toBeVisible();
    await page.getByRole("link", { name: "Upload a data set" }).click();
  });

  await test.step("an uploaded archive becomes a data set with boxes over its pictures", async () => {
    await page.locator("input[type=file]").setInputFiles(archive);
    await expect(page).toHaveURL(/\/datasets\/[0-9a-f-]{36}$/);
    await expect(page.locator("[data-state=ready]")).toBeVisible({ timeout: 300_000 });
    const counts = page.locator("dl.figures");
    await expect(counts).toContainText(`Pictures${IMAGES}`);
    await expect(page.locator("table.bars tr")).toHaveCount(6);
    await loaded(page, ".pictures img");
    await expect(page.locator(".pictures [data-layer=truth]").first()).toHaveAttribute(
      "data-boxes",
      /[1-9]/,
    );
    await shoot(page, "dataset");
  });

  const dataset = page.url().split("/").at(-1);

  await test.step("the form refuses invalid values and starts a job", async () => {
    await page.getByRole("link", { name: "Fine-tune on this" }).click();
    await page.getByLabel("Name").fill("first faces");
    await page.getByLabel("Epochs", { exact: true }).fill("-1");
    await page.getByRole("button", { name: "Start the job" }).click();
    await expect(page.getByText("must be at least 0")).toBeVisible();
    await page.getByLabel("Epochs", { exact: true }).fill(String(EPOCHS));
    await page.getByLabel("Batch size").fill(String(BATCH_SIZE));

    await page.getByText("Advanced").click();
    await page.getByLabel("Scale max").fill("0.1");
    await page.getByRole("button", { name: "Start the job" }).click();
    await expect(page.locator("[data-pointer='/views/scale_max']")).toContainText(
      "must not be below scale_min",
    );
    await page.getByLabel("Scale max").fill("1.3");
    await shoot(page, "new-job");
    await page.getByRole("button", { name: "Start the job" }).click();
    await expect(page).toHaveURL(/\/jobs\/[0-9a-f-]{36}$/);
  });

  const job = page.url();

  await test.step("charts grow and samples appear during training", async () => {
    await page.evaluate(rememberPoints);
    await expect(page.locator("[data-stage]")).toBeVisible();
    await expect(page.locator("[data-samples-epoch]")).toBeVisible({ timeout: 300_000 });
    await expect(page.locator("[data-samples-epoch] [data-layer=truth]").first()).toHaveAttribute(
      "data-boxes",
      /[1-9]/,
    );
    await loaded(page, ".samples img");
  });

  await test.step("the job completes, with every epoch in the charts", async () => {
    await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 600_000 });
    for (const chart of ["Loss", "Average precision", "Box overlap"]) {
      await expect(page.locator(`[data-chart="${chart}"]`)).toHaveAttribute(
        "data-points",
        String(EPOCHS + 1),
      );
    }
    const seen = await page.evaluate(() => (window as unknown as Remembering).seenPoints);
    // The page repaints at most once per frame, so several epochs may appear together.
    expect(seen.length, `points seen: ${seen}`).toBeGreaterThanOrEqual(3);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await expect(page.locator(`[data-samples-epoch="${EPOCHS}"]`)).toBeVisible();
    await expect(page.locator("[data-figure=ap50_ge6] dd")).toContainText("→");
    await expect(page.getByRole("log")).not.toBeEmpty();
  });

  await test.step("the epoch slider goes back to the base model", async () => {
    await page.getByLabel(/^Epoch/).fill("0");
    await expect(page.locator("[data-samples-epoch='0']")).toBeVisible();
    await page.getByRole("button", { name: "latest" }).click();
    await expect(page.locator(`[data-samples-epoch="${EPOCHS}"]`)).toBeVisible();
  });

  await test.step("an enlarged sample picture shows its boxes", async () => {
    await page.getByRole("button", { name: /^Enlarge/ }).first().click();
    const dialog = page.getByRole("dialog");
    await expect(dialog.locator("[data-layer=truth]")).toBeAttached();
    await page.keyboard.press("Escape");
    await expect(dialog).toHaveCount(0);
  });

  await test.step("diagnostics show targets by face size and sample views", async () => {
    const diagnostics = page.locator(`[data-diagnostics-epoch="${EPOCHS}"]`);
    await diagnostics.locator("summary").click();
    await expect(diagnostics.locator(".targets tbody tr")).toHaveCount(4);
    await expect(diagnostics.locator(".bars tr")).toHaveCount(10);
    for (const chart of ["Positive anchors per face", "Loss by anchor grid", "Gradient norm"]) {
      await expect(page.locator(`[data-chart="${chart}"]`)).toHaveAttribute(
        "data-points",
        String(EPOCHS),
      );
    }
    await diagnostics.locator(".sheet").scrollIntoViewIfNeeded();
    await loaded(page, ".sheet img");
    // Sample views exist for epochs 1, 2, 4, 8 and so on.
    const drawn = 2 ** Math.floor(Math.log2(EPOCHS));
    await expect(diagnostics.getByLabel("From epoch")).toHaveValue(String(drawn));
    await diagnostics.getByLabel("From epoch").selectOption("1");
    await expect(diagnostics.locator(".sheet img")).toHaveAttribute("src", /views-epoch-1\.jpg$/);
    await loaded(page, ".sheet img");
    await diagnostics.evaluate((section) => section.scrollIntoView());
    await shoot(page, "diagnostics");
  });

  await test.step("the job page works in light and dark mode and fits a phone", async () => {
    await loaded(page, ".samples img");
    await page.evaluate(() => window.scrollTo(0, 0));
    await shoot(page, "job");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot(page, "job-dark");
    await page.setViewportSize({ width: 375, height: 812 });
    await shoot(page, "job-phone");
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
      360,
    );
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await test.step("a downloaded model has the checksum that the page shows", async () => {
    const row = page.locator("[data-file='best.tflite']");
    const coming = page.waitForEvent("download");
    await row.getByRole("link").click();
    const file = await (await coming).path();
    const sha256 = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    expect(await row.getAttribute("data-sha256")).toBe(sha256);
  });

  await test.step("the model detects faces in a picture, next to MediaPipe's model", async () => {
    const index = await surest(page, `${server.url}/api/v1${new URL(page.url()).pathname}/samples`);
    await page.getByRole("link", { name: "Try the model" }).click();
    const picture = await page.request.get(
      `${server.url}/api/v1/datasets/${dataset}/images/${index}`,
    );
    const buffer = await picture.body();
    const mimeType = picture.headers()["content-type"] ?? "image/jpeg";
    await page.locator("input[type=file]").setInputFiles({ name: "0.jpg", mimeType, buffer });
    await expect(page.locator("[data-faces]")).toBeVisible();
    await page.getByLabel(/^Minimum score/).fill(UPDATING ? "0.4" : "0.1");
    await expect(page.locator("[data-faces]")).toHaveAttribute("data-faces", /[1-9]/);
    await expect(page.locator(".tried .keypoint").first()).toBeVisible();
    await shoot(page, "try");
  });

  await test.step("a mix of the model is a job that leads to the new model", async () => {
    await page.getByLabel(/^Keep/).fill("50");
    await page.getByRole("button", { name: "Make this mix" }).click();
    await expect(page).toHaveURL(/\/jobs\/[0-9a-f-]{36}$/);
    await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 120_000 });
    await expect(page.locator("[data-figure=ap50_ge6] dd")).toContainText("→");
    await shoot(page, "mix");
    await page.getByRole("link", { name: "Try or download it" }).click();
    await expect(page.getByRole("heading", { name: "first faces, 50 % kept" })).toBeVisible();
  });

  await test.step("training of a finished job continues, and both parts form one curve", async () => {
    await page.goto(job);
    await page.getByLabel("Total epochs").fill(String(EPOCHS));
    await page.getByRole("button", { name: "Continue training" }).click();
    await expect(page).toHaveURL(job); // The form rejects a total that is already done.
    await page.getByLabel("Total epochs").fill(String(EPOCHS + 1));
    await page.getByRole("button", { name: "Continue training" }).click();
    await expect(page).not.toHaveURL(job);
    await expect(page.getByRole("heading", { name: "first faces (extended)" })).toBeVisible();
    await expect(page.locator("[data-state=completed]")).toBeVisible({ timeout: 600_000 });
    for (const chart of ["Loss", "Average precision"]) {
      await expect(page.locator(`[data-chart="${chart}"]`)).toHaveAttribute(
        "data-points",
        String(EPOCHS + 2),
      );
    }
  });

  await test.step("every other page fits a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const place of [
      "jobs",
      "datasets",
      `datasets/${dataset}`,
      "jobs/new",
      "models",
      "system",
    ]) {
      await page.goto(`${server.url}/${place}`);
      await expect(page.locator("main h1")).toBeVisible();
      await expect(page.locator(".loading")).toHaveCount(0);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect(width, place).toBeLessThanOrEqual(360);
    }
  });

  expect(complaints).toEqual([]);
});

test("a lost connection is shown, and the page continues when it returns", async ({ page }) => {
  await page.goto(`${server.url}/jobs`);
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  await server.stop();
  await page.getByRole("link", { name: "Models" }).click();
  await expect(page.getByText("Connection to the server lost")).toBeVisible();
  await server.start();
  await expect(page.getByText("Connection to the server lost")).toBeHidden();
  await expect(page.locator("[data-model=base]")).toBeVisible();
});

/** The index of the sample picture with the highest-scoring detection. */
async function surest(page: Page, url: string): Promise<number> {
  const { pictures }: Samples = await (await page.request.get(url)).json();
  const best = ({ tuned }: SamplePicture) => Math.max(0, ...tuned.map(({ score }) => score));
  return pictures.sort((a, b) => best(b) - best(a))[0]?.index ?? 0;
}

interface Remembering {
  seenPoints: number[];
}

/** Runs in the page: records every number of points that the main chart shows. */
function rememberPoints() {
  const seen: number[] = [];
  (window as unknown as Remembering).seenPoints = seen;
  const look = () => {
    const chart = document.querySelector('[data-chart="Average precision"]');
    const points = Number(chart?.getAttribute("data-points") ?? 0);
    if (points > 0 && seen.at(-1) !== points) seen.push(points);
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true,
    childList: true,
    attributeFilter: ["data-points"],
  });
}

/** Waits until the first matching picture has loaded. Pictures further down load lazily. */
async function loaded(page: Page, selector: string) {
  const first = page.locator(selector).first();
  await expect(first).toBeVisible();
  await expect
    .poll(() => first.evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth))
    .toBeGreaterThan(0);
}

async function shoot(page: Page, name: string) {
  for (const folder of FOLDERS) {
    await mkdir(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `${name}.png`), animations: "disabled" });
  }
}
