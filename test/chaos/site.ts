import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LanServer, listenOnLoopback } from "../simulator/lan-server.ts";
import { Relay } from "./relay.ts";
import { ServiceDisk } from "./service-disk.ts";
import { ServiceProcess } from "./service-process.ts";

/** So many machines enrol at one service, one after the other; then a new one keeps its database small. */
export const machinesPerSite = 200;

/** How long a fault lasts that is there "for a moment", and how long an agent has patience with one that stays, ms. */
export const momentMs = 120;

export interface SiteOptions {
  /** Instead of the real service's program. */
  readonly program?: string | undefined;
}

/** A certificate and its key, PEM. */
interface Identity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A service with its database, the network before it, and the network behind it with one BMC at a time. */
export class Site implements AsyncDisposable {
  readonly service: ServiceProcess;
  readonly relay: Relay;
  readonly disk: ServiceDisk;
  /** CA, the agents' certificate and key, and an operator's. */
  readonly pem: { readonly ca: Buffer } & Identity & { readonly operator: Identity };
  /** The BMC's side of its network; undefined while nothing is there. */
  lan: Pick<LanServer, "answers"> | undefined;
  /** Which datagrams pass between service and BMC. */
  lanPassage: "both ways" | "nothing" | "no replies" = "both ways";
  readonly #resources: AsyncDisposableStack;
  #number = 0;
  #repairs: Promise<unknown>[] = [];

  private constructor(parts: Pick<Site, "service" | "relay" | "disk">, resources: AsyncDisposableStack) {
    this.service = parts.service;
    this.relay = parts.relay;
    this.disk = parts.disk;
    this.#resources = resources;
    const read = (name: string) => readFileSync(join(this.service.pki, name));
    const operator = { cert: read("operator.pem"), key: read("operator.key") };
    this.pem = { ca: read("ca.pem"), cert: read("agent.pem"), key: read("agent.key"), operator };
  }

  static async open({ program }: SiteOptions = {}): Promise<Site> {
    await using resources = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), "rivet-chaos-"));
    resources.defer(() => rmSync(directory, { recursive: true, force: true }));
    let site: Site | undefined;
    const answers = (datagram: Uint8Array) => {
      if (site === undefined || site.lanPassage === "nothing") return [];
      const replies = site.lan?.answers(datagram) ?? [];
      // The network may have gone while the BMC did what it was told.
      return site.lanPassage === "both ways" ? replies : [];
    };
    // Each BMC has an address of its own, as in life: what was proved at one says nothing of the next machine.
    const bmcAddresses: string[] = [];
    for (let i = 0; i < machinesPerSite; i += 1) {
      const { port } = resources.use(await listenOnLoopback({ answers }));
      bmcAddresses.push(`${macOf(i)}=127.0.0.1:${port}`);
    }
    const service = resources.use(
      await ServiceProcess.start({ directory, bmcAddresses, ...(program === undefined ? {} : { program }) }),
    );
    const relay = resources.use(await Relay.open(service.port));
    const disk = resources.use(new ServiceDisk(service));
    site = new Site({ service, relay, disk }, resources.move());
    return site;
  }

  /** MAC address of the next machine's BMC; undefined if the site has had its fill. */
  nextMac(): string | undefined {
    if (this.#number === machinesPerSite) return undefined;
    this.#number += 1;
    return macOf(this.#number - 1);
  }

  /** The service dies, and is started again on the same database and port if it is to be. */
  async killService(back: boolean): Promise<void> {
    const down = this.relay.down();
    await this.service.kill();
    await down;
    if (back) this.#repair(this.service.start().then(() => this.relay.up()));
  }

  /** Does `mend` after a moment. */
  forAMoment(mend: () => unknown): void {
    this.#repair(new Promise((resolve) => setTimeout(resolve, momentMs)).then(() => mend()));
  }

  /** Everything works again. */
  async heal(): Promise<void> {
    // One that failed was struck by a further fault: a service that is killed again while it starts.
    await Promise.allSettled(this.#repairs);
    this.#repairs = [];
    this.lanPassage = "both ways";
    this.service.requireUncollapsed();
    this.service.fillDisk(false);
    await this.service.start();
    await this.relay.up();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#repairs);
    await this.#resources.disposeAsync();
  }

  #repair(repair: Promise<unknown>): void {
    repair.catch(() => undefined);
    this.#repairs.push(repair);
  }
}

function macOf(number: number): string {
  return `52:54:00:c4:${[number >> 8, number & 0xff].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
}
