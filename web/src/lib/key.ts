// Idempotency keys, for requests that must not take effect twice.

/** A random key. Over plain HTTP from another machine, there is no `crypto.randomUUID`. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
