import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig } from "vite";
import type { Plugin } from "vite";

// The server to talk to while developing: `npm run dev` beside a running `blazetune serve`.
const server = process.env.BLAZETUNE_URL ?? "http://127.0.0.1:8080";

/** Writes each file of the build compressed beside itself, as small as can be: the server never compresses. */
function compressed(): Plugin {
  const folder = "dist";
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!/\.(html|js|css|svg|json)$/.test(name)) continue;
        const path = join(folder, name);
        const bytes = readFileSync(path);
        const copies = { br: brotliCompressSync(bytes, quality), gz: gzipSync(bytes, { level: 9 }) };
        for (const [extension, copy] of Object.entries(copies)) {
          if (copy.length < bytes.length) writeFileSync(`${path}.${extension}`, copy);
        }
      }
    },
  };
}

export default defineConfig({
  plugins: [compressed()],
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    // No data: URLs, so that the strict content security policy holds.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": server, "/health": server },
  },
});
