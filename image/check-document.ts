/** Whether a document is one that the agent can read: asked of the agent itself. */

import { execa } from "execa";

/** The document is wrong, in the agent's words: with line and column where it cannot be read. Exit code 78. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
}

const checkLimitMs = 30_000;

/**
 * @param agent the command that starts the agent on this machine
 * @throws DocumentError
 */
export async function checkDocument(agent: readonly [string, ...string[]], path: string): Promise<void> {
  const [program, ...args] = agent;
  const { failed, stderr, exitCode } = await execa(program, [...args, "check", path], {
    timeout: checkLimitMs,
    reject: false,
    stdin: "ignore",
  });
  if (!failed) return;
  if (exitCode === 78) throw new DocumentError(stderr.trim().replace(/^metal-rivet: /, ""));
  throw new Error(`${program} check ${path}: ended with ${exitCode ?? "no exit code"}: ${stderr}`);
}
