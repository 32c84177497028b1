import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { loadOrder, matchesPattern, modulesFor, parseModulesDep } from "./module-files.ts";
import { ModuleLoader } from "./modules.ts";

const dep = `kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/net/core/failover.ko:
kernel/net/packet/af_packet.ko:
kernel/drivers/char/ipmi/ipmi_msghandler.ko:
kernel/drivers/char/ipmi/ipmi_si.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
kernel/drivers/char/ipmi/ipmi_devintf.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
kernel/drivers/char/ipmi/ipmi_ssif.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
kernel/drivers/i2c/busses/i2c-piix4.ko.xz:
kernel/fs/fat/fat.ko:
kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko
kernel/drivers/usb/host/ohci-pci.ko:
kernel/drivers/usb/storage/usb-storage.ko:
`;
const alias = `# Aliases
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias virtio:d00000001v* virtio_net
alias pci:v00008086d00007113sv*sd*bc*sc*i* i2c_piix4
alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000
alias pci:v*d*sv*sd*bc0Csc03i10* ohci_pci
`;
/** QEMU's machine "pc" with a virtio network card: modaliases as its kernel shows them. */
const virtioCard = "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00";
const smbus = "pci:v00008086d00007113sv00001AF4sd00001100bc06sc80i00";
const vga = "pci:v00001234d00001111sv00001AF4sd00001100bc03sc00i00";

describe("depmod's lists", () => {
  test("what is needed loads first", () => {
    expect(loadOrder(parseModulesDep(dep), "virtio-net")).toEqual([
      "kernel/drivers/virtio/virtio.ko",
      "kernel/drivers/virtio/virtio_ring.ko",
      "kernel/net/core/failover.ko",
      "kernel/drivers/net/virtio_net.ko",
    ]);
    expect(loadOrder(parseModulesDep(dep), "nvme")).toBeUndefined();
  });

  test("patterns", () => {
    expect(modulesFor(alias, virtioCard)).toEqual(["virtio_pci"]);
    expect(modulesFor(alias, vga)).toEqual([]);
    expect(matchesPattern("acpi*:IPI000[1-3]:*", "acpi:IPI0002:PNP0C02:")).toBe(true);
    expect(matchesPattern("acpi*:IPI000[!1-3]:*", "acpi:IPI0002:")).toBe(false);
    expect(matchesPattern("dmi*:[bs]vnA.C:", "dmi:bvnABC:")).toBe(false);
    expect(matchesPattern("a?c", "abc")).toBe(true);
    expect(matchesPattern("a?c", "ac")).toBe(false);
  });

  test("a pattern without wildcards matches itself only", () => {
    const text = fc.string({ unit: fc.constantFrom(..."ab:.+(){}|^$"), maxLength: 8 });
    fc.assert(fc.property(text, text, (a, b) => matchesPattern(a, b) === (a === b)));
  });

  test("the modules are those of the patterns that match, whatever they look like", () => {
    const text = fc.string({ unit: fc.constantFrom(..."ab:.*?"), minLength: 1, maxLength: 6 });
    const long = "a".repeat(100);
    fc.assert(
      fc.property(fc.array(text), text, (patterns, modalias) => {
        const all = [...new Set(patterns)];
        const list = all.map((pattern) => `alias ${pattern} ${pattern}\nalias ${long}${pattern} ${long}${pattern}`);
        const matching = all.filter((pattern) => matchesPattern(pattern, modalias));
        expect(modulesFor(list.join("\n"), modalias)).toEqual(matching);
        const longer = matching.map((pattern) => `${long}${pattern}`);
        const short = all.filter((pattern) => matchesPattern(pattern, `${long}${modalias}`));
        expect(modulesFor(list.join("\n"), `${long}${modalias}`).toSorted()).toEqual([...short, ...longer].toSorted());
      }),
    );
  });

  test("any text parses", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseModulesDep(text);
        modulesFor(`alias ${text} x\n${text}`, text);
      }),
    );
  });
});

describe("loader", () => {
  let root: string | undefined;
  afterEach(() => root && rmSync(root, { recursive: true }));

  /** A kernel that shows the virtio device only once virtio_pci is in, and refuses what the test names. */
  function machine(refused: Record<string, string> = {}) {
    root = mkdtempSync(join(tmpdir(), "rivet-modules-"));
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(root as string, path)), { recursive: true });
      writeFileSync(join(root as string, path), text);
    };
    write("lib/modules/6.1/modules.dep", dep);
    write("lib/modules/6.1/modules.alias", alias);
    write("sys/bus/pci/devices/0000:00:01.3/modalias", `${smbus}\n`);
    write("sys/bus/pci/devices/0000:00:02.0/modalias", `${vga}\n`);
    write("sys/bus/pci/devices/0000:00:03.0/modalias", `${virtioCard}\n`);
    const attempts: string[] = [];
    const loader = new ModuleLoader("6.1", {
      root,
      unload(name) {
        attempts.push(`-${name}`);
        if (refused[name]) throw Object.assign(new Error(`delete_module: ${refused[name]}`), { code: refused[name] });
      },
      load(path, parameters) {
        const name = path.replace(/.*\//, "");
        attempts.push(parameters === "" ? name : `${name} ${parameters}`);
        const code = refused[name];
        if (code) throw Object.assign(new Error(`finit_module: ${code}`), { code });
        if (name === "virtio_pci.ko") {
          write("sys/bus/virtio/devices/virtio0/modalias", "virtio:d00000001v00001AF4\n");
          write("sys/bus/pci/devices/0000:00:03.0/driver/module", "");
        }
      },
    });
    return { loader, attempts, write };
  }

  test("the network drivers of the devices present, and no others", () => {
    const { loader, attempts } = machine();
    loader.loadNetworkDrivers();
    expect(attempts).toEqual([
      "af_packet.ko",
      "virtio.ko",
      "virtio_ring.ko",
      "virtio_pci.ko",
      "failover.ko",
      "virtio_net.ko",
    ]);
    expect(loader.problems).toEqual([]);
  });

  test("what a stick needs: FAT, and the drivers of the storage that is there", () => {
    const { loader, attempts, write } = machine();
    const disk = "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00";
    const usb = "pci:v0000106Bd0000003Fsv00001AF4sd00001100bc0Csc03i10";
    write("sys/bus/pci/devices/0000:00:04.0/modalias", `${disk}\n`);
    write("sys/bus/pci/devices/0000:00:05.0/modalias", `${usb}\n`);
    loader.loadStorageDrivers();
    const controllers = ["virtio.ko", "virtio_ring.ko", "virtio_pci.ko", "ohci-pci.ko"];
    expect(attempts).toEqual([...controllers, "usb-storage.ko delay_use=0", "fat.ko", "vfat.ko"]);
  });

  test("a network adapter without driver is told", () => {
    const { loader, write } = machine();
    write("sys/bus/pci/devices/0000:00:04.0/modalias", "pci:v000015ADd000007B0sv000015ADsd000007B0bc02sc00i00\n");
    loader.loadNetworkDrivers();
    expect(loader.problems).toEqual(["network adapter 15ad:07b0 (PCI) has no driver in this ramdisk"]);
  });

  test("SSIF and its bus only where the firmware names it; each file once", () => {
    const { loader, attempts } = machine();
    loader.loadIpmiDrivers({ ssif: false, kcs: undefined });
    expect(attempts).toEqual(["ipmi_msghandler.ko", "ipmi_devintf.ko", "ipmi_si.ko"]);
    loader.loadIpmiDrivers({ ssif: true, kcs: undefined });
    expect(attempts.slice(3)).toEqual(["i2c-piix4.ko.xz", "ipmi_ssif.ko"]);
  });

  test("the BMC is looked for once more, also where the driver had found nothing", () => {
    const { loader, attempts } = machine({ "ipmi_si.ko": "ENODEV", ipmi_si: "ENOENT" });
    loader.loadIpmiDrivers({ ssif: true, kcs: undefined });
    attempts.length = 0;
    loader.probeIpmiAgain({ ssif: false, kcs: undefined });
    expect(attempts).toEqual(["-ipmi_si", "ipmi_si.ko"]);
    loader.probeIpmiAgain({ ssif: true, kcs: undefined });
    expect(attempts.slice(2)).toEqual(["-ipmi_si", "ipmi_si.ko", "-ipmi_ssif", "ipmi_ssif.ko"]);
  });

  test("the operator's address goes to ipmi_si, and to no other module", () => {
    const { loader, attempts } = machine();
    const hints = { ssif: true, kcs: { port: 0xca2, spacing: 4 } };
    loader.loadIpmiDrivers(hints);
    loader.probeIpmiAgain(hints);
    const withParameters = "ipmi_si.ko type=kcs ports=0xca2 regspacings=4";
    expect(attempts.filter((attempt) => attempt.includes(" "))).toEqual([withParameters, withParameters]);
    expect(attempts).toContain("ipmi_ssif.ko");
  });

  test("loaded before is good, refused is told and not tried again", () => {
    const { loader, attempts } = machine({ "ipmi_msghandler.ko": "EEXIST", "ipmi_si.ko": "EINVAL" });
    expect(loader.load("ipmi_devintf")).toBe(true);
    expect(loader.load("ipmi_si")).toBe(false);
    expect(loader.load("ipmi_si")).toBe(false);
    expect(attempts.filter((name) => name === "ipmi_si.ko")).toHaveLength(1);
    expect(loader.problems).toEqual(["kernel/drivers/char/ipmi/ipmi_si.ko: finit_module: EINVAL"]);
  });

  test("built in counts as there; no list at all is said", () => {
    const { loader, write } = machine();
    write("sys/module/e1000/version", "1");
    expect(loader.load("e1000")).toBe(true);
    expect(loader.load("nvme")).toBe(false);
    expect(
      new ModuleLoader("9.9", { root: root as string, load: () => undefined, unload: () => undefined }).problems[0],
    ).toContain("modules.dep");
  });
});
