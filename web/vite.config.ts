import { defineConfig } from "vite";

// The server to talk to while developing: `npm run dev` beside a running `blazetune serve`.
const server = process.env.BLAZETUNE_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
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
