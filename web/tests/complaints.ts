// Collects the errors that a page logs, including breaches of the content security policy.

import type { Page } from "@playwright/test";

/** Returns a list that fills with errors as they occur, except those that contain `expected`. */
export function listen(page: Page, expected?: string): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    const isExpected = expected !== undefined && message.text().includes(expected);
    if (message.type() === "error" && !isExpected) {
      complaints.push(`${message.text()} ${message.location().url}`);
    }
  });
  return complaints;
}
