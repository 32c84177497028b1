import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { execa } from "execa";
import { beforeAll, describe, expect, test } from "vitest";

/**
 * The folder table of the README as lint errors: in a copy of the configuration, each forbidden import must be an error,
 * and each allowed one must not.
 */
const root = join(import.meta.dirname, "..");

interface Border {
  readonly from: string;
  readonly allowed: readonly string[];
  readonly forbidden: readonly string[];
}

const borders: readonly Border[] = [
  {
    from: "ipmi/probe.ts",
    allowed: ["./errors.ts"],
    forbidden: [
      "node:fs",
      "execa",
      "../inband/x.ts",
      "../outband-client/lan/x.ts",
      "../agent/x.ts",
      "../bmc-service/x.ts",
      "../proto/gen/x.ts",
      "../image/x.ts",
      "../test/x.ts",
    ],
  },
  {
    from: "inband/probe.ts",
    allowed: ["../ipmi/x.ts", "node:fs"],
    forbidden: [
      "../outband-client/lan/x.ts",
      "../outband-client/service/x.ts",
      "../agent/x.ts",
      "../bmc-service/x.ts",
      "../proto/gen/x.ts",
      "../image/x.ts",
      "../test/x.ts",
    ],
  },
  {
    from: "outband-client/lan/probe.ts",
    allowed: ["../../ipmi/x.ts", "node:dgram"],
    forbidden: [
      "../service/x.ts",
      "../cli/x.ts",
      "../redfish/x.ts",
      "../../inband/x.ts",
      "../../agent/x.ts",
      "../../bmc-service/x.ts",
      "../../proto/gen/x.ts",
      "../../image/x.ts",
      "../../test/x.ts",
    ],
  },
  {
    from: "outband-client/service/probe.ts",
    allowed: ["../../proto/gen/x.ts"],
    forbidden: [
      "../lan/x.ts",
      "../cli/x.ts",
      "../../inband/x.ts",
      "../../agent/x.ts",
      "../../bmc-service/x.ts",
      "../../test/x.ts",
    ],
  },
  {
    from: "outband-client/cli/probe.ts",
    allowed: ["../service/x.ts", "../../proto/gen/x.ts"],
    forbidden: [
      "../../inband/x.ts",
      "../../agent/x.ts",
      "../../bmc-service/x.ts",
      "../../image/x.ts",
      "../../test/x.ts",
    ],
  },
  {
    from: "agent/probe.ts",
    allowed: ["../ipmi/x.ts", "../inband/x.ts", "../outband-client/service/x.ts", "../proto/gen/x.ts"],
    forbidden: [
      "../outband-client/lan/x.ts",
      "../outband-client/cli/x.ts",
      "../outband-client/redfish/x.ts",
      "../bmc-service/x.ts",
      "../image/x.ts",
      "../test/x.ts",
    ],
  },
  {
    from: "bmc-service/probe.ts",
    allowed: ["../ipmi/x.ts", "../outband-client/lan/x.ts", "../outband-client/redfish/x.ts", "../proto/gen/x.ts"],
    forbidden: [
      "../inband/x.ts",
      "../outband-client/service/x.ts",
      "../outband-client/cli/x.ts",
      "../agent/x.ts",
      "../image/x.ts",
      "../test/x.ts",
    ],
  },
  {
    from: "proto/probe.ts",
    allowed: [],
    forbidden: [
      "../ipmi/x.ts",
      "../inband/x.ts",
      "../outband-client/service/x.ts",
      "../agent/x.ts",
      "../bmc-service/x.ts",
      "../image/x.ts",
      "../test/x.ts",
    ],
  },
  {
    from: "image/probe.ts",
    allowed: ["node:fs", "execa"],
    forbidden: [
      "../ipmi/x.ts",
      "../inband/x.ts",
      "../outband-client/lan/x.ts",
      "../agent/x.ts",
      "../bmc-service/x.ts",
      "../proto/gen/x.ts",
      "../test/x.ts",
    ],
  },
];

/** Every border has two probes: one with all forbidden imports, one with all allowed ones; an import a line. */
const probe = { forbidden: (from: string) => from, allowed: (from: string) => from.replace("probe.ts", "allowed.ts") };

function source(imports: readonly string[]): string {
  const lines = imports.map((name, index) => `import * as name${index} from "${name}";\n`);
  return `${lines.join("")}export const all = [${imports.map((_, index) => `name${index}`).join(", ")}];\n`;
}

/** Lines with a restricted import, by file. */
let found: Map<string, number[]>;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "rivet-borders-"));
  try {
    const config = JSON.parse(await readFile(join(root, "biome.json"), "utf8"));
    await writeFile(join(folder, "biome.json"), JSON.stringify({ ...config, vcs: { enabled: false } }));
    await copyFile(join(root, "no-late-builtins.grit"), join(folder, "no-late-builtins.grit"));
    for (const { from, allowed, forbidden } of borders) {
      await mkdir(dirname(join(folder, from)), { recursive: true });
      await writeFile(join(folder, probe.forbidden(from)), source(forbidden));
      await writeFile(join(folder, probe.allowed(from)), source(allowed));
    }
    found = await restrictedImports(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

async function restrictedImports(folder: string): Promise<Map<string, number[]>> {
  const biome = join(root, "node_modules/.bin/biome");
  const args = ["lint", "--only=style/noRestrictedImports", "--max-diagnostics=none", "--reporter=github", "."];
  const { stdout } = await execa(biome, args, { cwd: folder, reject: false, timeout: 20_000 });
  const errors = stdout.matchAll(/^::error title=lint\/style\/noRestrictedImports,file=([^,]+),line=(\d+),/gm);
  const lines = new Map<string, number[]>();
  for (const [, path = "", line] of errors) {
    const file = relative(folder, resolve(folder, path));
    lines.set(file, [...(lines.get(file) ?? []), Number(line)]);
  }
  return lines;
}

describe.each(borders)("$from", ({ from, allowed, forbidden }) => {
  test("may not import the forbidden folders", () => {
    const lines = found.get(probe.forbidden(from)) ?? [];
    expect(forbidden.filter((_, index) => !lines.includes(index + 1))).toEqual([]);
  });

  test("may import the allowed ones", () => {
    const lines = found.get(probe.allowed(from)) ?? [];
    expect(allowed.filter((_, index) => lines.includes(index + 1))).toEqual([]);
  });
});

test("nobody imports test", () => {
  const without = borders.filter(({ forbidden }) => !forbidden.some((name) => name.includes("/test/")));
  expect(without.map(({ from }) => from)).toEqual([]);
});
