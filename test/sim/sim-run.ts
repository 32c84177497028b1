import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { codecFace, listenOnLan, type Traffic } from "../simulator/bmc-faces.ts";
import type { PowerOperation } from "../simulator/chassis.ts";
import type { CodecServer, MachineEvent } from "../simulator/codec-server.ts";
import type { FaultRule } from "../simulator/fault-rule.ts";
import { parseFaultRules } from "../simulator/fault-rule-json.ts";
import { mainLan } from "../simulator/main-lan.ts";
import type { Profile } from "../simulator/profile.ts";
import { createBmc } from "../simulator/simulated-bmc.ts";
import { describeCode, describeCommand } from "./describe-command.ts";
import type { SimOptions } from "./sim-options.ts";

/** What is told while a BMC is simulated; with `--output json` as it stands here, one object a line. */
export type SimEvent =
  | {
      readonly event: "ready";
      readonly profile: string;
      readonly expected_outcome: string;
      readonly kcs: string;
      readonly lan: string;
      readonly mac: string;
      /** What the BMC takes for its machine's: its GUID is made of it. */
      readonly machine_uuid: string;
    }
  | {
      readonly event: "command";
      readonly at: string;
      readonly via: Traffic["via"];
      readonly command: string;
      /** User, channel, operation: what tells one request from another. */
      readonly detail: string;
      /** What goes out; empty is silence. `code` is "00h", or "cut off" where the answer does not get so far. */
      readonly answers: readonly { readonly code: string; readonly meaning: string; readonly after_ms: number }[];
    }
  | { readonly event: "machine"; readonly at: string; readonly what: MachineEvent }
  | { readonly event: "power"; readonly at: string; readonly operation: PowerOperation; readonly machine: boolean };

/** Who has no machine at hand cannot switch one on. */
const controls: Readonly<Record<PowerOperation, Parameters<CodecServer["control"]>[0] | undefined>> = {
  powerUp: undefined,
  powerDown: "powerOff",
  powerCycle: "reset",
  hardReset: "reset",
  softShutdown: "softShutdown",
  pulseDiagnosticInterrupt: "pulseDiagnosticInterrupt",
};

/** A port that somebody else listens on. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
}

/** The file of fault rules cannot be used. */
export class FaultFileError extends Error {
  override readonly name = "FaultFileError";
}

export interface Sim extends AsyncDisposable {
  readonly kcsPort: number;
  readonly lanPort: number;
  /** Whether a machine is connected to the VM codec. */
  readonly machineConnected: boolean;
}

/**
 * Starts a BMC with both of its faces.
 * @throws PortTakenError; FaultFileError
 */
export async function startSim(
  profile: Profile,
  options: Pick<SimOptions, "kcs" | "lan" | "faults">,
  tell: (event: SimEvent) => void,
): Promise<Sim> {
  const at = () => new Date().toISOString();
  let codec: CodecServer | undefined;
  const machineUuid = randomUUID();
  const bmc = createBmc(profile, {
    machineUuid,
    ...(options.faults === undefined ? {} : { faults: readFaults(options.faults) }),
    onPower(operation) {
      const control = controls[operation];
      const machine = control !== undefined && codec?.control(control) === true;
      tell({ event: "power", at: at(), operation, machine });
    },
  });
  const onMachine = (what: MachineEvent) => {
    if (what !== "reset") bmc.chassis.powerOn = what === "connected";
    tell({ event: "machine", at: at(), what });
  };
  const onTraffic = ({ via, message, deliveries }: Traffic) => {
    const { name: command, detail } = describeCommand(message);
    const answers = deliveries.map(({ answers: request, body: [code], afterMs }) => ({
      ...(code === undefined ? { code: "cut off", meaning: "" } : describeCode(request, code)),
      after_ms: afterMs,
    }));
    tell({ event: "command", at: at(), via, command, detail, answers });
  };
  await using stack = new AsyncDisposableStack();
  codec = stack.use(
    await onPort(options.kcs, "TCP", () => codecFace(bmc, { port: options.kcs, onTraffic, onMachine })),
  );
  const lan = stack.use(await onPort(options.lan, "UDP", () => listenOnLan(bmc, { port: options.lan, onTraffic })));
  const [kcsPort, lanPort] = [codec.port, lan.port];
  tell({
    event: "ready",
    profile: profile.name,
    expected_outcome: profile.expected,
    kcs: `127.0.0.1:${kcsPort}`,
    lan: `127.0.0.1:${lanPort}`,
    mac: mainLan(bmc.lans).mac,
    machine_uuid: machineUuid,
  });
  const parts = stack.move();
  const face = codec;
  return {
    kcsPort,
    lanPort,
    get machineConnected() {
      return face.connected;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function onPort<T>(port: number, protocol: "TCP" | "UDP", start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    const option = protocol === "TCP" ? "--kcs" : "--lan";
    const problem =
      error.code === "EADDRINUSE"
        ? `${protocol} port ${port} of 127.0.0.1 is taken`
        : `cannot listen on ${protocol} port ${port} of 127.0.0.1 (${error.code})`;
    throw new PortTakenError(`${problem}: give another one by ${option}, or 0 for any`, { cause: error });
  }
}

function readFaults(file: string): readonly FaultRule[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new FaultFileError(`${file}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  try {
    return parseFaultRules(text);
  } catch (error) {
    throw new FaultFileError(`${file}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
