import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pause } from "../lab/deadline.ts";

/** Collects the command lines and environments of all processes that start while it watches. */
export class ProcessWatch implements AsyncDisposable {
  readonly seen = new Map<string, string>();
  readonly #before = new Set(processIds());
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor() {
    this.#watching = this.#watch();
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const pid of processIds()) {
        if (!this.#before.has(pid)) this.#look(pid);
      }
      await pause(100, this.#stop.signal).catch(() => undefined);
    }
  }

  #look(pid: string): void {
    for (const what of ["cmdline", "environ"]) {
      try {
        const content = readFileSync(`/proc/${pid}/${what}`, "latin1");
        if (content !== "") this.seen.set(content, `${what} of process ${pid} (${content.split("\0")[0] ?? ""})`);
      } catch {
        // It ended a moment ago.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }
}

function processIds(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/** The forms in which a secret could lie somewhere. */
function formsOf(secret: string): Buffer[] {
  const bytes = Buffer.from(secret, "latin1");
  return [
    bytes,
    Buffer.from(secret, "utf16le"),
    Buffer.from(bytes.toString("hex"), "latin1"),
    Buffer.from(bytes.toString("hex").toUpperCase(), "latin1"),
    Buffer.from(bytes.toString("base64").replace(/=+$/, ""), "latin1"),
    Buffer.from(JSON.stringify(secret).slice(1, -1), "latin1"),
    Buffer.from(encodeURIComponent(secret), "latin1"),
  ];
}

/**
 * Looks for a secret in every file below a directory.
 * @param except directory names that are left out
 * @returns the files that hold it, in any form
 */
export function filesHolding(secret: string, directory: string, except: readonly string[]): string[] {
  const forms = formsOf(secret);
  return filesBelow(directory, except)
    .filter((file) => {
      const content = readFileSync(file);
      return forms.some((form) => content.includes(form));
    })
    .map((file) => relative(directory, file));
}

/** Those of the texts that hold a secret, by what they are. */
export function textsHolding(secret: string, texts: ReadonlyMap<string, string>): string[] {
  const forms = formsOf(secret).map((form) => form.toString("latin1"));
  return [...texts].filter(([text]) => forms.some((form) => text.includes(form))).map(([, name]) => name);
}

function filesBelow(directory: string, except: readonly string[]): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return except.includes(entry.name) ? [] : filesBelow(path, except);
    return entry.isFile() ? [path] : [];
  });
}
