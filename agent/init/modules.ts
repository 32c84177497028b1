import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { KcsAddress } from "../../inband/kcs/kcs-address.ts";
import { type LibcError, loadModule, unloadModule } from "./libc.ts";
import { loadOrder, type ModuleDependencies, modulesFor, parseModulesDep } from "./module-files.ts";

/** What the loader touches, so that a test can stand in for the kernel. */
export interface ModuleWorld {
  /** "" in life: the root of /lib/modules and /sys. */
  readonly root: string;
  /** Loads one file, with parameters as "name=value"; LibcError with code EEXIST when it is loaded already. */
  readonly load: (path: string, parameters: string) => void;
  /** Unloads one module; LibcError with code ENOENT when it is not loaded. */
  readonly unload: (name: string) => void;
}

export const realModuleWorld: ModuleWorld = {
  root: "",
  unload: unloadModule,
  load(path, parameters) {
    const fd = openSync(path, "r");
    try {
      loadModule(fd, parameters, /\.(xz|zst|gz)$/.test(path));
    } finally {
      closeSync(fd);
    }
  },
};

/** PCI class 02 is network; a virtio network device is 1. linux/mod_devicetable.h, scripts/mod/file2alias.c. */
const networkDevice = /^(pci:.*bc02sc|virtio:d00000001v)/;
/** PCI class 01 is storage, 0c03 a USB controller; a virtio disk is 2, its SCSI controller 8. */
const storageDevice = /^(pci:.*(bc01|bc0Csc03)|virtio:d0000000[28]v)/i;
const usbController = /^pci:.*bc0Csc03/i;
/** By the driver, not by the class: Intel's PIIX4, SMBus and power management in one, calls itself a bridge (06). */
const smbusDriver = /^i2c_/;

/** Where the BMC is, as far as the drivers do not find out by themselves (ACPI, SMBIOS, PCI). */
export interface IpmiHints {
  /** The firmware names a BMC on an SMBus. */
  readonly ssif: boolean;
  /** The operator's word for ipmi_si, which it takes before the firmware's. */
  readonly kcs: KcsAddress | undefined;
}

/** Linux Documentation/driver-api/ipmi.rst, "The SI Driver". */
export function siParameters(kcs: KcsAddress | undefined): string {
  return kcs === undefined ? "" : `type=kcs ports=0x${kcs.port.toString(16)} regspacings=${kcs.spacing}`;
}

/**
 * Loads kernel modules with what they need, each file once. Problems do not throw: a machine with one broken driver still
 * boots; `problems` tells them.
 */
export class ModuleLoader {
  readonly loaded: string[] = [];
  readonly problems: string[] = [];
  readonly #world: ModuleWorld;
  readonly #folder: string;
  readonly #dependencies: ModuleDependencies;
  readonly #tried = new Map<string, boolean>();
  #aliases: string | undefined;

  constructor(release: string, world: ModuleWorld = realModuleWorld) {
    this.#world = world;
    this.#folder = join(world.root, "/lib/modules", release);
    const list = join(this.#folder, "modules.dep");
    this.#dependencies = existsSync(list) ? parseModulesDep(readFileSync(list, "latin1")) : new Map();
    if (this.#dependencies.size === 0) this.problems.push(`${list}: there is none; drivers must be built in`);
  }

  /** True when the module is there now: loaded, loaded before, or built in. The parameters are its own. */
  load(name: string, parameters = ""): boolean {
    const order = loadOrder(this.#dependencies, name);
    if (order) {
      return order.map((path) => this.#loadFile(path, path === order.at(-1) ? parameters : "")).every(Boolean);
    }
    return existsSync(join(this.#world.root, "/sys/module", name.replaceAll("-", "_")));
  }

  /**
   * Has the IPMI drivers look for the BMC once more: they look when they are loaded, and never again.
   * What does not work shows by the device node, which stays away.
   */
  probeIpmiAgain({ ssif, kcs }: IpmiHints): void {
    for (const name of ssif ? ["ipmi_si", "ipmi_ssif"] : ["ipmi_si"]) {
      const file = this.#dependencies.get(name);
      if (!file) continue;
      const path = join(this.#folder, file.path);
      const parameters = name === "ipmi_si" ? siParameters(kcs) : "";
      for (const step of [() => this.#world.unload(name), () => this.#world.load(path, parameters)]) {
        try {
          step();
        } catch {
          // not loaded, because it found nothing the last time; or nothing found again
        }
      }
    }
  }

  #loadFile(path: string, parameters: string): boolean {
    const before = this.#tried.get(path);
    if (before !== undefined) return before;
    let good = true;
    try {
      this.#world.load(join(this.#folder, path), parameters);
      this.loaded.push(path.slice(path.lastIndexOf("/") + 1).replace(/\.ko.*$/, ""));
    } catch (error) {
      const { code, message } = error as LibcError;
      good = code === "EEXIST";
      if (!good) this.problems.push(`${path}: ${code === "ENODEV" ? "no such device" : message}`);
    }
    this.#tried.set(path, good);
    return good;
  }

  /** Loads the drivers of the network adapters. A bus driver (virtio_pci) shows new devices, hence the rounds. */
  loadNetworkDrivers(): void {
    this.load("af_packet");
    this.#loadForDevices(networkDevice);
    for (const { folder, modalias } of this.#devices("pci")) {
      if (!networkDevice.test(modalias) || existsSync(join(folder, "driver"))) continue;
      // some drivers take their devices later, in a thread of the kernel
      if (modulesFor(this.#aliases ?? "", modalias).length > 0) continue;
      const [, vendor = "", device = ""] = /^pci:v0000(.{4})d0000(.{4})/.exec(modalias) ?? [];
      this.problems.push(`network adapter ${`${vendor}:${device}`.toLowerCase()} (PCI) has no driver in this ramdisk`);
    }
  }

  /**
   * Loads what a stick needs: controllers of USB and disks, and FAT with its character sets. Disks show themselves a while later.
   * The controllers come first, because they look for their devices while the others are loaded. Of itself the kernel gives a stick
   * a second to settle; this one has been read by the firmware a moment ago (agent/stick/probe-again.ts is for one that needs it).
   */
  loadStorageDrivers(): void {
    this.#loadForDevices(storageDevice);
    this.load("usb_storage", "delay_use=0");
    for (const name of ["uas", "sd_mod", "vfat", "nls_cp437", "nls_ascii"]) this.load(name);
  }

  /** Loads what a USB keyboard needs, also one of a remote console; those with a PS/2 plug are in the kernel. */
  loadKeyboardDrivers(): void {
    this.#loadForDevices(usbController);
    for (const name of ["usbhid", "hid_generic"]) this.load(name);
  }

  /** Loads KCS and BT by ipmi_si, SSIF where the firmware names it, and the device nodes. */
  loadIpmiDrivers({ ssif, kcs }: IpmiHints): void {
    this.load("ipmi_devintf");
    this.load("ipmi_si", siParameters(kcs));
    if (!ssif) return;
    this.#loadForDevices(/^pci:/, smbusDriver);
    this.load("ipmi_ssif");
  }

  #loadForDevices(devices: RegExp, drivers = /^/): void {
    this.#aliases ??= this.#readAliases();
    const seen = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const fresh = this.#modaliases().filter((modalias) => devices.test(modalias) && !seen.has(modalias));
      if (fresh.length === 0) return;
      for (const modalias of fresh) {
        seen.add(modalias);
        for (const module of modulesFor(this.#aliases, modalias)) if (drivers.test(module)) this.load(module);
      }
    }
  }

  #readAliases(): string {
    const path = join(this.#folder, "modules.alias");
    return existsSync(path) ? readFileSync(path, "latin1") : "";
  }

  #modaliases(): string[] {
    return ["pci", "virtio"].flatMap((bus) => this.#devices(bus).map(({ modalias }) => modalias));
  }

  #devices(bus: string): { folder: string; modalias: string }[] {
    const devices = join(this.#world.root, "/sys/bus", bus, "devices");
    if (!existsSync(devices)) return [];
    return readdirSync(devices).flatMap((device) => {
      const folder = join(devices, device);
      try {
        return [{ folder, modalias: readFileSync(join(folder, "modalias"), "latin1").trim() }];
      } catch {
        return []; // unplugged since the folder was read
      }
    });
  }
}
