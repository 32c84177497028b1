import "../run/loaded-late.ts";
import { exitCodeOf, type Outcome } from "../../agent/outcome.ts";
import { run } from "../../agent/run.ts";
import { makeStep, type StepName } from "../../agent/step.ts";
import { defaultLimits, type EnrolmentClient, type World } from "../../agent/world.ts";
import type { Clock } from "../../inband/clock.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import type { Reply, Transport } from "../../ipmi/transport.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import { smbiosTables } from "../run/smbios-tables.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import { SimulatedTransport } from "../simulator/simulated-transport.ts";
import { runInProcess } from "./agent-process.ts";
import { hurriedClock } from "./hurried-clock.ts";
import { commandName, isWrite } from "./lan-watched-bmc.ts";
import { clientWithInstants, connectPatiently, type Pass, type Pem } from "./service-client.ts";
import type { Surroundings, Trouble } from "./trouble.ts";

/** How long the kernel's driver waits for a BMC that does not answer, ms. */
const driverLimitMs = 5_000;

/** What a test breaks on purpose in the agent. */
export interface Doubles {
  readonly client?: (inner: EnrolmentClient) => EnrolmentClient;
  readonly transport?: (inner: Transport, bmc: SimulatedBmc) => Transport;
}

export interface AgentRun {
  readonly uuid: string;
  readonly bootId: string;
  readonly rotate: boolean;
  /** The agent is a process of its own. */
  readonly ownProcess: boolean;
  readonly randomBelow: (below: number) => number;
  readonly doubles: Doubles;
  readonly pem: Pem;
}

/** Runs the agent while faults come to pass. @throws what is a bug of the agent */
export async function runAgent(
  { uuid, bootId, rotate, ownProcess, randomBelow, doubles, pem }: AgentRun,
  around: Surroundings,
  trouble: Trouble,
): Promise<Outcome | Error> {
  const { site, bmc, clock } = around;
  const { transport = (inner: Transport) => inner, client = (inner: EnrolmentClient) => inner } = doubles;
  const pass: Pass = (...at) => trouble.pass(...at);
  const onStep = (step: StepName) => {
    trouble.place = step;
  };
  const { relay } = site;
  bmc.watcher = { pass: () => undefined, write: () => undefined, proved: () => trouble.keepWrites() };
  if (ownProcess) {
    // The machine's time, for who cannot be seen waiting.
    const hurried: Clock = { now: () => clock.now(), sleep: hurriedClock.sleep };
    const way = troubled(new SimulatedTransport(bmc, [], hurried), hurried, around, trouble);
    const program = { pass, onStep, transport: way, death: trouble.death };
    return await clock.outside(() => runInProcess({ uuid, bootId, rotate, port: relay.port, pem }, program));
  }
  const service = () =>
    clientWithInstants(client(connectPatiently(relay.port, pem, trouble.patience)), pass, (work) =>
      clock.outside(work),
    );
  const world: World = {
    readSmbios: async () => smbiosTables(uuid),
    openBmc: async () => troubled(transport(new SimulatedTransport(bmc, [], clock), bmc), clock, around, trouble),
    connectService: async () => service(),
    readBootId: async () => bootId,
    gatherInventory: async () => ({ processors: [], memoryBytes: 0n, disks: [], networkInterfaces: [], gaps: [] }),
    randomBelow,
    clock,
    note: () => undefined,
    settings: { agentVersion: "metal-rivet test", rotate, limits: defaultLimits },
  };
  const step = makeStep({
    clock,
    signal: trouble.death,
    onEvent: (event) => event.kind === "started" && onStep(event.step),
    hook: (when, name) => pass(when, "step", name),
  });
  const ended = await run(world, step).catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  );
  if (exitCodeOf(ended) === ExitCode.bug && !trouble.death.aborted) throw ended;
  return ended;
}

/** Commands to the BMC, with an instant before and after each that changes something. */
function troubled(inner: Transport, clock: Clock, { bmc }: Surroundings, trouble: Trouble): Transport {
  return {
    name: inner.name,
    maxRequestBytes: inner.maxRequestBytes,
    exchange: async (message, signal): Promise<Reply> => {
      const name = commandName(message);
      const writes = isWrite(message);
      if (writes) await trouble.pass("before", "write", name);
      else trouble.death.throwIfAborted();
      const undo = bmc.snapshot();
      const reply = await inner.exchange(message, signal);
      trouble.look(`after ${name}`);
      if (!writes) return reply;
      trouble.undo = undo;
      await trouble.pass("after", "write", name);
      if (bmc.isAlive(clock.now())) return reply;
      // It was reset over the write: nobody hears the answer.
      await clock.sleep(driverLimitMs, signal);
      return { completionCode: CompletionCode.unspecified, data: new Uint8Array() };
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
