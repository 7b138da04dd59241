// What a page should not say while it is used: errors, and breaches of the content security policy.

import type { Page } from "@playwright/test";

/** Fills with errors as they come; those that name `expected` are on purpose. */
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
