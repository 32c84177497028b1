/**
 * Which kernel modules the ramdisk gets, and in which order they load. Formats: depmod(8), modules.dep(5).
 */

/** What a list of modules asks for: `required` ones must exist, as a module or within the kernel. */
export interface ModuleWish {
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

/**
 * IPMI by KCS, BT and SSIF with the SMBus controllers of Intel and AMD boards; the Ethernet adapters found in servers, and
 * VLANs on them; what it takes to read a FAT partition on a USB stick or a virtual disk; USB keyboards, which those of
 * remote consoles are too.
 * Left out: adapters that do nothing without a firmware file (bnx2, bnx2x, qed, nfp), virtual functions, wireless, disks.
 */
const wishedModules: ModuleWish = {
  required: [
    ...["ipmi_msghandler", "ipmi_si", "ipmi_devintf", "ipmi_ssif"],
    ...["virtio_pci", "virtio_net", "e1000", "e1000e", "igb", "igc", "ixgbe", "i40e", "ice"],
    ...["bnxt_en", "mlx5_core", "mlx4_core", "mlx4_en", "tg3", "r8169", "af_packet", "8021q"],
    ...["xhci_pci", "ehci_pci", "ohci_pci", "usb_storage", "uas", "sd_mod", "virtio_blk"],
    // ASCII is what Debian's kernel takes for file names if mount says nothing else.
    ...["vfat", "nls_cp437", "nls_ascii", "usbhid", "hid_generic"],
  ],
  optional: ["i2c_ismt", "be2net", "enic", "sfc", "cxgb4", "atlantic", "ionic", "8139cp", "8139too"],
};

/** SMBus and USB controllers that only these machines have. */
const x64Modules = ["i2c_piix4", "i2c_i801", "uhci_hcd"];

export function wishedModulesOf(architecture: "x64" | "arm64"): ModuleWish {
  if (architecture !== "x64") return wishedModules;
  return { ...wishedModules, required: [...wishedModules.required, ...x64Modules] };
}

/** One line of modules.dep: a file relative to /lib/modules/RELEASE and the files it needs. */
export interface ModuleFile {
  readonly path: string;
  /** All of them, not only the direct ones; the last one loads first. */
  readonly needs: readonly string[];
}

/** "kernel/drivers/i2c/busses/i2c-i801.ko.xz" -> "i2c_i801": the name by which the kernel knows the module. */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return file.replace(/\.ko(\.(xz|zst|gz))?$/, "").replaceAll("-", "_");
}

export function parseModulesDep(text: string): ModuleFile[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, index) => {
      const colon = line.indexOf(":");
      if (colon < 0) throw new Error(`modules.dep: line ${index + 1} has no colon: ${line}`);
      const needs = line
        .slice(colon + 1)
        .split(" ")
        .filter((word) => word !== "");
      return { path: line.slice(0, colon), needs };
    });
}

/** The `softdep A pre: B C` lines: what should be loaded before a module although no symbol asks for it. */
export function parseSoftDependencies(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [keyword, name, ...words] = line.trim().split(/\s+/);
    if (keyword !== "softdep" || name === undefined) continue;
    let before = false;
    for (const word of words) {
      if (word === "pre:" || word === "post:") before = word === "pre:";
      else if (before) found.set(moduleName(name), [...(found.get(moduleName(name)) ?? []), moduleName(word)]);
    }
  }
  return found;
}

export interface KernelModuleLists {
  /** The texts of these files of /lib/modules/RELEASE, made by depmod. */
  readonly dep: string;
  readonly softdep: string;
  readonly builtin: string;
}

/**
 * The wished modules and all they need, as lines of a modules.dep sorted by path. Soft dependencies are made hard ones, so
 * that whoever loads a module follows one list only. Throws when a required module is neither a file nor in the kernel.
 */
export function chooseModules(lists: KernelModuleLists, wish: ModuleWish): ModuleFile[] {
  const files = new Map(parseModulesDep(lists.dep).map((file) => [moduleName(file.path), file]));
  const builtin = new Set(lists.builtin.split("\n").map(moduleName));
  const soft = parseSoftDependencies(lists.softdep);

  const absent = wish.required.filter((name) => !files.has(name) && !builtin.has(name));
  if (absent.length > 0) throw new Error(`kernel modules: this kernel has no ${absent.join(", ")}`);

  const chosen = new Map<string, ModuleFile>();
  const add = (name: string): void => {
    const file = files.get(name);
    if (!file || chosen.has(file.path)) return;
    const early = [name, ...file.needs.map(moduleName)].flatMap((needed) => soft.get(needed) ?? []);
    const before = early.flatMap((wanted) => {
      const soon = files.get(wanted);
      return soon && soon !== file ? [soon.path, ...soon.needs] : [];
    });
    // The last one loads first, so of two places in the list the later one is right.
    const needs = [...new Set([...before, ...file.needs].reverse())].reverse();
    chosen.set(file.path, { path: file.path, needs });
    for (const path of needs) {
      if (!files.has(moduleName(path)))
        throw new Error(`kernel modules: ${file.path} needs ${path}, which is not there`);
      add(moduleName(path));
    }
  };
  for (const name of [...wish.required, ...wish.optional]) add(name);
  return [...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function writeModulesDep(files: readonly ModuleFile[]): string {
  return files.map(({ path, needs }) => `${[`${path}:`, ...needs].join(" ")}\n`).join("");
}

/** The lines of modules.alias ("alias PATTERN MODULE") that lead to one of these modules. */
export function chooseAliases(text: string, files: readonly ModuleFile[]): string {
  const names = new Set(files.map(({ path }) => moduleName(path)));
  return text
    .split("\n")
    .filter((line) => line.startsWith("alias ") && names.has(line.slice(line.lastIndexOf(" ") + 1)))
    .map((line) => `${line}\n`)
    .join("");
}
