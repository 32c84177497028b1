import { describe, expect, test } from "vitest";
import {
  chooseAliases,
  chooseModules,
  moduleName,
  parseModulesDep,
  parseSoftDependencies,
  writeModulesDep,
} from "./kernel-modules.ts";

const lists = {
  dep: [
    "kernel/ipmi/ipmi_msghandler.ko:",
    "kernel/ipmi/ipmi_si.ko: kernel/ipmi/ipmi_msghandler.ko",
    "kernel/net/libphy.ko:",
    "kernel/net/mdio_devres.ko: kernel/net/libphy.ko",
    "kernel/net/realtek.ko: kernel/net/libphy.ko",
    "kernel/net/r8169.ko: kernel/net/mdio_devres.ko kernel/net/libphy.ko",
    "kernel/net/unwanted.ko: kernel/net/libphy.ko",
    "",
  ].join("\n"),
  softdep: "# comment\nsoftdep r8169 pre: realtek\nsoftdep ipmi_msghandler post: ipmi_devintf\n",
  builtin: "kernel/net/packet/af_packet.ko\n",
};

describe("choice of kernel modules", () => {
  test("brings what the wished ones need, and nothing else", () => {
    const chosen = chooseModules(lists, { required: ["ipmi_si", "af_packet"], optional: ["absent"] });
    expect(chosen.map(({ path }) => path)).toEqual(["kernel/ipmi/ipmi_msghandler.ko", "kernel/ipmi/ipmi_si.ko"]);
  });

  test("loading from the end of every line, each module finds its needs loaded, soft ones too", () => {
    const chosen = chooseModules(lists, { required: ["r8169"], optional: [] });
    expect(chosen.find(({ path }) => path.endsWith("/r8169.ko"))?.needs).toContain("kernel/net/realtek.ko");
    const hard = new Map(parseModulesDep(lists.dep).map((file) => [file.path, file.needs]));
    for (const { path, needs } of chosen) {
      const loaded = new Set<string>();
      for (const next of [...needs.toReversed(), path]) {
        for (const need of hard.get(next) ?? []) expect(loaded, `${next} in the line of ${path}`).toContain(need);
        loaded.add(next);
      }
    }
  });

  test("a required module that this kernel lacks is an error that names it", () => {
    expect(() => chooseModules(lists, { required: ["ipmi_si", "igb"], optional: [] })).toThrow(/has no igb$/);
  });

  test("a need that is in no line is an error", () => {
    const broken = { ...lists, dep: "kernel/a.ko: kernel/b.ko\n" };
    expect(() => chooseModules(broken, { required: ["a"], optional: [] })).toThrow(/needs kernel\/b.ko/);
  });

  test("what is written is read back", () => {
    const chosen = chooseModules(lists, { required: ["r8169", "ipmi_si"], optional: [] });
    expect(parseModulesDep(writeModulesDep(chosen))).toEqual(chosen);
  });

  test("a line without a colon is an error that names the line", () => {
    expect(() => parseModulesDep("kernel/a.ko:\nkernel/b.ko\n")).toThrow(/line 2/);
  });

  test("only aliases of chosen modules stay", () => {
    const text =
      "# Aliases\nalias pci:v00008086d00001533* igb\nalias pci:v0000* i2c_i801\nalias acpi*:IPI0001:* ipmi_si\n";
    const files = [
      { path: "kernel/drivers/i2c/busses/i2c-i801.ko.xz", needs: [] },
      { path: "kernel/ipmi/ipmi_si.ko", needs: [] },
    ];
    expect(chooseAliases(text, files)).toBe("alias pci:v0000* i2c_i801\nalias acpi*:IPI0001:* ipmi_si\n");
  });

  test("names", () => {
    expect(moduleName("kernel/drivers/i2c/busses/i2c-i801.ko.xz")).toBe("i2c_i801");
    expect(parseSoftDependencies("softdep a-b pre: c-d e post: f\n")).toEqual(new Map([["a_b", ["c_d", "e"]]]));
  });
});
