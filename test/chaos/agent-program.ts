/**
 * The agent as a process of its own, for SIGKILL. Its BMC is the parent's, over the channel to it; its service is the real one.
 * At each instant it waits until the parent lets it go on.
 */
import type { Outcome } from "../../agent/outcome.ts";
import { run } from "../../agent/run.ts";
import { makeStep } from "../../agent/step.ts";
import { defaultLimits, type World } from "../../agent/world.ts";
import { cryptoRandomBelow } from "../../inband/account/credentials.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { smbiosTables } from "../run/smbios-tables.ts";
import type { InstantKind } from "./fault.ts";
import { hurriedClock } from "./hurried-clock.ts";
import { clientWithInstants, connectPatiently, type Pem } from "./service-client.ts";

/** What the parent says first. */
export interface AgentTask {
  readonly uuid: string;
  readonly bootId: string;
  readonly rotate: boolean;
  readonly port: number;
  readonly pem: Pem;
}

/** What the agent asks the parent for. */
export type AgentQuestion =
  | { readonly kind: "pass"; readonly when: "before" | "after"; readonly what: InstantKind; readonly name: string }
  | { readonly kind: "started"; readonly step: string }
  | { readonly kind: "exchange"; readonly message: Message }
  | { readonly kind: "ended"; readonly outcome: Outcome | { readonly error: string } };

export interface Asked {
  readonly id: number;
  readonly question: AgentQuestion;
}

export interface Answered {
  readonly id: number;
  /** To "exchange". */
  readonly reply?: Reply;
}

const open = new Map<number, (answered: Answered) => void>();
let asked = 0;

function ask(question: AgentQuestion): Promise<Answered> {
  asked += 1;
  const id = asked;
  return new Promise((resolve) => {
    open.set(id, resolve);
    process.send?.({ id, question } satisfies Asked);
  });
}

async function enrol({ uuid, bootId, rotate, port, pem }: AgentTask): Promise<void> {
  const pass = async (when: "before" | "after", what: InstantKind, name: string) => {
    await ask({ kind: "pass", when, what, name });
  };
  const transport: Transport = {
    name: "the parent's",
    maxRequestBytes: 270,
    async exchange(message) {
      const { reply } = await ask({ kind: "exchange", message });
      if (reply === undefined) throw new Error("the parent has no reply");
      return reply;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const world: World = {
    readSmbios: async () => smbiosTables(uuid),
    openBmc: async () => transport,
    connectService: async () =>
      clientWithInstants(connectPatiently(port, pem, new AbortController().signal), pass, (work) => work()),
    readBootId: async () => bootId,
    gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
    randomBelow: cryptoRandomBelow,
    clock: hurriedClock,
    note: () => undefined,
    settings: { agentVersion: "metal-rivet test", rotate, limits: defaultLimits },
  };
  const step = makeStep({
    clock: hurriedClock,
    onEvent: (event) => {
      if (event.kind === "started") void ask({ kind: "started", step: event.step });
    },
    hook: (when, name) => pass(when, "step", name),
  });
  const outcome = await run(world, step).catch((error: unknown) => ({
    error: error instanceof Error ? error.message : String(error),
  }));
  await ask({ kind: "ended", outcome });
  process.disconnect?.();
}

process.once("message", (task: AgentTask) => {
  process.on("message", (answered: Answered) => {
    open.get(answered.id)?.(answered);
    open.delete(answered.id);
  });
  void enrol(task);
});
