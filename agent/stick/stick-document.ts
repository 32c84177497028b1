import type { Clock } from "../../inband/clock.ts";
import { readDocument } from "../config/document.ts";
import type { Source } from "../config/settings.ts";
import { type StickMedium, withStick } from "./medium.ts";
import { StickError } from "./stick-error.ts";

/** The configuration on the stick. */
export const documentName = "metal-rivet.yaml";

/** A USB stick behind a slow hub shows itself late. */
const defaultLimitMs = 30_000;
const lookEveryMs = 50;
/** One that is there shows itself within two seconds; after this it is asked once more. */
const probeAgainAfterMs = 5_000;

/**
 * Reads the configuration on the stick. Undefined if there is no such file.
 * @param limitMs how long the stick is waited for
 * @throws StickError; ConfigError with line and column
 */
export async function readStickDocument(
  medium: StickMedium,
  clock: Clock,
  limitMs: number = defaultLimitMs,
): Promise<Source | undefined> {
  const bytes = await waitForStick(medium, clock, limitMs);
  if (bytes === undefined) return undefined;
  const name = `${documentName} on the stick`;
  try {
    const { values } = await readDocument(bytes, name);
    return { name, kind: "document", values };
  } finally {
    // It may hold a private key and a token.
    bytes.fill(0);
  }
}

async function waitForStick(medium: StickMedium, clock: Clock, limitMs: number): Promise<Buffer | undefined> {
  const startedAt = clock.now();
  let isProbedAgain = false;
  for (;;) {
    try {
      return await withStick(medium, "read", (stick) => stick.read(documentName));
    } catch (error) {
      const isLate = error instanceof StickError && (error.problem === "absent" || error.problem === "gone");
      if (!isLate || clock.now() - startedAt >= limitMs) throw error;
    }
    if (!isProbedAgain && clock.now() - startedAt >= probeAgainAfterMs) {
      medium.probeAgain();
      isProbedAgain = true;
    }
    await clock.sleep(lookEveryMs);
  }
}
