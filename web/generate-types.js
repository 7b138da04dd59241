// Writes src/api/types.ts from src/api/schema.json, or with --check says whether it is up to date.

import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const SCHEMA = new URL("src/api/schema.json", import.meta.url);
const TYPES = new URL("src/api/types.ts", import.meta.url);
const BANNER = `// What the server sends. Generated: change the types in src/, then run
// \`blazetune schema > web/src/api/schema.json\` and \`npm --prefix web run types\`.`;

const schema = JSON.parse(readFileSync(SCHEMA, "utf8"), withoutTextBesideReferences);
const code = await compile(schema, "Api", {
  additionalProperties: false,
  bannerComment: BANNER,
  style: { printWidth: 100 },
  unreachableDefinitions: true,
});
const types = code
  .replaceAll(/ \*\n \* This interface was referenced by [^]*?"\.\n/g, "")
  .replaceAll(/\/\*\*\n \* This interface was referenced by [^]*?"\.\n \*\/\n/g, "")
  .replace(/export interface Api \{[^]*?\n\}\n/, "");

if (!process.argv.includes("--check")) {
  writeFileSync(TYPES, types);
} else if (readFileSync(TYPES, "utf8") !== types) {
  console.error("web/src/api/types.ts does not match schema.json: run `npm --prefix web run types`");
  process.exitCode = 1;
}

/** A reference with a text of its own would become a second type. */
function withoutTextBesideReferences(_key, value) {
  if (value?.$ref && value.description) delete value.description;
  return value;
}
