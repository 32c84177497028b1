import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Account, Bmc } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { ensureBuilt } from "../lab/artifacts.ts";
import { commandsOfPrograms, type SeenCommand } from "../lab/codec-proxy.ts";
import { type DocumentServer, startDocumentServer } from "../lab/document-server.ts";
import { assembleMachine, type MachineOptions, type SimulatedMachine } from "../lab/machine.ts";
import {
  type Certificates,
  connectOperator,
  initPki,
  type RunningService,
  readCertificates,
  startService,
} from "../lab/service.ts";
import { makeUpTruth } from "../lab/truth.ts";
import { openUdpSwitch, type UdpSwitch } from "../lab/udp-switch.ts";

/** A data centre in a temporary directory: machines with BMCs, the service, the certificates. */
export interface Site<Name extends string> extends AsyncDisposable {
  readonly directory: string;
  readonly machines: Readonly<Record<Name, SimulatedMachine>>;
  /** The road from the service to each machine's BMC. */
  readonly roads: ReadonlyMap<Name, UdpSwitch>;
  readonly service: RunningService;
  readonly documents: DocumentServer;
  readonly certificates: Certificates;
}

type Spec = Omit<MachineOptions, "name" | "parentDirectory" | "truth"> & Partial<Pick<MachineOptions, "truth">>;

/** Builds what is missing, starts everything but the machines. */
export async function openSite<const Name extends string>(specs: Readonly<Record<Name, Spec>>): Promise<Site<Name>> {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-vm-"));
  chmodSync(directory, 0o700);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  await ensureBuilt(join(directory, "build.log"));
  const pkiDirectory = join(directory, "pki");
  await initPki(pkiDirectory);
  const names = Object.keys(specs) as Name[];
  const roads = new Map<Name, UdpSwitch>();
  const bmcAddresses = new Map<string, string>();
  const machines: Partial<Record<Name, SimulatedMachine>> = {};
  for (const name of names) {
    const machine = await assembleMachine({ truth: makeUpTruth(), ...specs[name], name, parentDirectory: directory });
    machines[name] = stack.use(machine);
    if (machine.bmc === undefined) continue;
    const road = stack.use(await openUdpSwitch(machine.bmc.sim.lanPort));
    roads.set(name, road);
    bmcAddresses.set(machine.truth.bmcMac, `127.0.0.1:${road.port}`);
  }
  const service = stack.use(await startService({ directory, pkiDirectory, bmcAddresses }));
  const documents = stack.use(await startDocumentServer());
  const parts = stack.move();
  return {
    directory,
    machines: machines as Record<Name, SimulatedMachine>,
    roads,
    service,
    documents,
    certificates: readCertificates(pkiDirectory, "agent"),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

export interface Boot extends BootResult {
  /** IPMI commands of the agent, as they went over the wire. */
  readonly commands: readonly SeenCommand[];
}

export interface BootOptions {
  /** Keys of the configuration document, on top of service and certificates. */
  readonly config?: Readonly<Record<string, string | number | boolean>>;
  /** The document has neither certificate nor key, only the CA. */
  readonly withoutCertificate?: boolean;
  /** More words for the kernel command line. */
  readonly args?: string;
  /** Instead of the URL of the document: no document is given. */
  readonly withoutDocument?: boolean;
  /** Leave the machine running afterwards. */
  readonly stayOn?: boolean;
}

/** Boots a machine of a site, follows it to the agent's last word, and pulls the plug. */
export async function boot<Name extends string>(
  site: Site<Name>,
  name: Name,
  options: BootOptions = {},
): Promise<Boot> {
  const machine = site.machines[name];
  const document = `${name}.yaml`;
  const { addressSeenByVm } = site.service;
  const { ca, ...own } = site.certificates;
  const shown = options.withoutCertificate === true ? { ca } : { ca, ...own };
  site.documents.put(document, { service: addressSeenByVm, log: "json", ...shown, ...options.config });
  machine.bmc?.proxy.forget();
  machine.console.skip();
  const config = options.withoutDocument === true ? "" : `rivet.config=${site.documents.urlOf(document)}`;
  await machine.powerOn(`rivet.log=json ${config} ${options.args ?? ""}`.trim());
  const result = await followBoot(machine, { limitMs: 150_000 });
  const seen = machine.bmc?.proxy.seen ?? [];
  const commands = options.args?.includes("rivet.ipmi_driver=0") ? [...seen] : commandsOfPrograms(seen);
  if (options.stayOn !== true) await machine.powerOff();
  return { ...result, commands };
}

/** The service's row. `key`: MAC of the BMC, or UUID of a machine without one. */
export async function rowOf(site: Site<string>, key: string, showSecrets = false): Promise<Bmc> {
  await using operator = connectOperator(site.service);
  const { bmc } = await operator.getBmc({ key, showSecrets }, AbortSignal.timeout(10_000));
  if (bmc === undefined) throw new Error(`no row in the answer for ${key}`);
  return bmc;
}

/** All accounts that the service knows for a BMC, newest first, with their passwords. */
export async function accountsOf(site: Site<string>, mac: string): Promise<Account[]> {
  await using operator = connectOperator(site.service);
  return (await operator.listAccounts({ mac, showSecrets: true }, AbortSignal.timeout(10_000))).accounts;
}
