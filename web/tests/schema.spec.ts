// Tests the parameter form's rules without a browser.

import { expect, test } from "@playwright/test";
import { changed, fieldsOf, flatten, leaves, wrong } from "../src/lib/schema";

const SCHEMA = {
  $defs: {
    Init: {
      anyOf: [
        { const: "mediapipe", description: "MediaPipe's published weights" },
        { type: "string", format: "uuid" },
      ],
    },
    Unfold: {
      oneOf: [
        { const: "frozen", type: "string" },
        { const: "folded", type: "string" },
      ],
    },
    Views: {
      type: "object",
      properties: { flip: { type: "number", minimum: 0, maximum: 1, default: 0.5 } },
    },
  },
  type: "object",
  properties: {
    epochs: { type: "integer", minimum: 1, maximum: 10000, default: 12, description: "Passes." },
    freeze: { type: "boolean", default: false },
    init: { $ref: "#/$defs/Init", default: "mediapipe" },
    unfold: { $ref: "#/$defs/Unfold", default: "frozen" },
    views: { $ref: "#/$defs/Views", default: { flip: 0.25 }, description: "Cuts." },
  },
};

const FIELDS = fieldsOf(SCHEMA);

test("every kind of field is read, including through references", () => {
  const kinds = leaves(FIELDS).map(({ pointer, kind }) => `${pointer} ${kind}`);
  expect(kinds).toEqual([
    "/epochs number",
    "/freeze switch",
    "/init choice",
    "/unfold choice",
    "/views/flip number",
  ]);
});

test("a default of the outer object overrides the inner field's", () => {
  expect(leaves(FIELDS).at(-1)?.initial).toBe(0.25);
});

test("only values that differ from the defaults are sent, typed and nested", () => {
  const texts = new Map([
    ["/epochs", " 20 "],
    ["/freeze", "true"],
    ["/unfold", "frozen"],
    ["/views/flip", "0"],
  ]);
  expect(changed(FIELDS, texts)).toEqual({ epochs: 20, freeze: true, views: { flip: 0 } });
  expect(changed(FIELDS, new Map())).toEqual({});
});

test("an invalid number gets a message that says why", () => {
  const [epochs] = leaves(FIELDS);
  if (!epochs) throw new Error("no fields");
  expect(wrong(epochs, "0")).toBe("must be at least 1");
  expect(wrong(epochs, "10001")).toBe("must be at most 10000");
  expect(wrong(epochs, "1.5")).toBe("must be a whole number");
  expect(wrong(epochs, "many")).toBe("must be a number");
  expect(wrong(epochs, "")).toBe("must be a number");
  expect(wrong(epochs, "7")).toBeUndefined();
});

test("an earlier job's parameters fill the form", () => {
  expect([...flatten({ epochs: 3, views: { flip: 0 } })]).toEqual([
    ["/epochs", "3"],
    ["/views/flip", "0"],
  ]);
});
