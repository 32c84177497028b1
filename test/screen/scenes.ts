import { join } from "node:path";
import { pause } from "../lab/deadline.ts";
import { freeTcpPort } from "../lab/ports.ts";
import { initPki, newToken, readCertificates } from "../lab/service.ts";
import { makeStick } from "../lab/stick.ts";
import { type MadeUpTruth, makeUpTruth } from "../lab/truth.ts";
import { profiles } from "../simulator/profiles.ts";
import { variants } from "../simulator/variants.ts";
import { type BootOptions, boot, openSite, type Site } from "../vm/site.ts";
import { pullCable, vgaCard } from "./local-screen.ts";

type Spec = Parameters<typeof openSite>[0][string];

/** One thing that happens to a technician, and the state that the screen has to show in the end. */
export interface Scene {
  readonly name: string;
  /** How the QR code begins. */
  readonly state: string;
  readonly spec?: Spec;
  readonly boot?: (site: Site<string>) => Promise<BootOptions> | BootOptions;
  /** Right after power-on. */
  readonly meanwhile?: (site: Site<string>) => Promise<void>;
}

/** A UUID that many machines have. */
const bogusUuid = "03000200-0400-0500-0006-000700080009";

/** A cable, but nobody at its other end: without DHCP. */
const loneCard = ["-netdev", "hubport,id=lone,hubid=9", "-device", "virtio-net-pci,netdev=lone,romfile="];

const mistaken = "service: 10.0.0.1:4443\nthen: wait\nlog: [json\n";

/** @param directory for what the scenes need beside their machines */
export async function makeScenes(directory: string): Promise<readonly Scene[]> {
  const foreignPki = join(directory, "foreign-pki");
  await initPki(foreignPki);
  const stick = await makeStick({ directory, name: "mistaken" });
  await stick.put("metal-rivet.yaml", mistaken);
  const truth: MadeUpTruth = { ...makeUpTruth(), uuid: bogusUuid };
  return [
    { name: "linked", state: "LINKED" },
    {
      name: "wrong-address",
      state: "NO SERVICE",
      boot: async () => ({ config: { service: `10.0.2.2:${await freeTcpPort()}`, service_limit: 8 } }),
    },
    {
      name: "wrong-ca",
      state: "NEEDS OPERATOR",
      boot: () => ({ config: { ca: readCertificates(foreignPki, "agent").ca } }),
    },
    {
      name: "expired-token",
      state: "NEEDS OPERATOR",
      boot: async (site) => {
        const token = await newToken(site.service, site.machines["expired-token"]?.truth.uuid ?? "", 1, 1);
        await pause(1_500);
        return { withoutCertificate: true, config: { token } };
      },
    },
    {
      name: "no-link",
      state: "NO NETWORK",
      spec: { nic: "none", extraArgs: loneCard },
      boot: () => ({ args: "rivet.network_limit=8" }),
      meanwhile: async (site) => {
        const machine = site.machines["no-link"];
        if (machine !== undefined) await pullCable(machine, "lone");
      },
    },
    {
      name: "no-dhcp",
      state: "NO NETWORK",
      spec: { nic: "none", extraArgs: loneCard },
      boot: () => ({ args: "rivet.network_limit=8" }),
    },
    { name: "no-bmc", state: "NO BMC", spec: { withBmc: false } },
    { name: "locked", state: "LOCKED", spec: { profile: profileOf("supermicro-x12-locked") } },
    { name: "full-table", state: "NEEDS OPERATOR", spec: { profile: profileOf("full-table") } },
    {
      name: "bmc-booting",
      state: "BMC BOOTING",
      spec: { profile: { ...profileOf("booting"), timing: { boot: { ms: 3_600_000, codes: ["update"] } } } },
      boot: () => ({ args: "rivet.bmc_limit=8" }),
    },
    { name: "bogus-uuid", state: "NEEDS OPERATOR", spec: { truth, withBmc: false } },
    {
      name: "bad-file",
      state: "BAD CONFIG",
      spec: { extraArgs: stick.args },
      boot: () => ({ withoutDocument: true, args: "rivet.stick=1" }),
    },
  ];
}

function profileOf(name: string) {
  const found = profiles.get(name) ?? variants.get(name);
  if (found === undefined) throw new Error(`there is no profile ${name}`);
  return found;
}

/** A site with a machine for each scene; nothing is on. */
export async function openScenes(scenes: readonly Scene[]): Promise<Site<string>> {
  const specs = scenes.map(({ name, spec = {} }) => [
    name,
    { ...spec, extraArgs: [...vgaCard, ...(spec.extraArgs ?? [])] } satisfies Spec,
  ]);
  return await openSite(Object.fromEntries(specs));
}

/** Boots a scene to its end, and leaves the machine on. */
export async function playScene(site: Site<string>, { name, boot: options = () => ({}), meanwhile }: Scene) {
  const { args = "", ...others } = await options(site);
  const ended = boot(site, name, { ...others, args: `rivet.tries=1 ${args} console=tty0`, stayOn: true });
  if (meanwhile !== undefined) {
    while (site.machines[name]?.isOn !== true) await pause(50);
    await meanwhile(site);
  }
  return await ended;
}
