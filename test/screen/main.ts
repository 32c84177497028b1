/**
 * Takes the pictures of docs/screens: each thing that happens to a technician, in a virtual machine with a VGA card, the real
 * kernel and program. A picture is taken only once a QR decoder has read the right state in it.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ExitCode } from "../../proto/exit-code.ts";
import { ensureBuilt } from "../lab/artifacts.ts";
import { dumpScreen, waitForQr } from "./local-screen.ts";
import { makeScenes, openScenes, playScene } from "./scenes.ts";

const help = `Usage: npm run screens -- [--only NAME]... [--out DIR]

Boots a virtual machine for each thing that happens to a technician, and writes its screen to docs/screens/NAME.png.

  --only NAME  this one only; may be repeated
  --out DIR    default: docs/screens
  --help       this text

Exit codes: 0 written, 64 wrong usage, 70 a screen is not as it has to be.
`;

function readOptions() {
  const options = {
    only: { type: "string", multiple: true },
    out: { type: "string" },
    help: { type: "boolean" },
  } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${help}`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const values = readOptions();
  if (values === undefined) return ExitCode.usage;
  if (values.help === true) {
    process.stdout.write(help);
    return ExitCode.done;
  }
  const out = values.out ?? join(import.meta.dirname, "../../docs/screens");
  mkdirSync(out, { recursive: true });
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-screens-"));
  chmodSync(directory, 0o700);
  try {
    await ensureBuilt(join(directory, "build.log"));
    const all = await makeScenes(directory);
    const scenes = values.only === undefined ? all : all.filter(({ name }) => values.only?.includes(name));
    await using site = await openScenes(scenes);
    let failures = 0;
    for (const scene of scenes) {
      const machine = site.machines[scene.name];
      if (machine === undefined) throw new Error(`there is no machine ${scene.name}`);
      try {
        await playScene(site, scene);
        const read = await waitForQr(machine, new RegExp(`^${scene.state}\\b`));
        await dumpScreen(machine, join(out, `${scene.name}.png`), "png");
        process.stdout.write(`${scene.name}.png: ${read.replaceAll("\n", ", ")}\n`);
      } catch (error) {
        failures += 1;
        process.stdout.write(`${scene.name}: FAILED: ${(error as Error).message}\n`);
      }
      await machine.powerOff();
    }
    return failures === 0 ? ExitCode.done : ExitCode.bug;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
