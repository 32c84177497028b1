import { expect, test } from "vitest";
import { readLocalSources, readSettings, withStickDocument } from "./configure.ts";
import { FakeStick } from "./stick/fake-stick.fixture.ts";

const reportKey = `x25519:${"A".repeat(43)}=`;
const tasks: string[] = [];
const console = {
  first: () => undefined,
  note: () => undefined,
  task: (name: string, _durationMs: number, detail = "") => void tasks.push(`${name}: ${detail}`),
  step: () => undefined,
  problem: () => undefined,
  end: () => undefined,
};

function stickWith(document: string | undefined): FakeStick {
  const stick = new FakeStick();
  if (document !== undefined) stick.files.set("metal-rivet.yaml", Buffer.from(document));
  return stick;
}

const read = (cmdline: string, stick: FakeStick) =>
  withStickDocument(readLocalSources(new Map(), Buffer.from(cmdline)), console, stick);

test("the document of the stick says how the network is reached, too, and the kernel command line comes first", async () => {
  const stick = stickWith(`report_key: ${reportKey}\ninterface: eth7\nlimit: 60\n`);
  const from = await read("rivet.stick=1 rivet.limit=90", stick);
  expect(from.local).toMatchObject({ interface: "eth7", limitMs: 90_000, reportKey });
  expect(await readSettings(from, console)).toMatchObject({ credentials: "none", interface: "eth7" });
  expect(tasks).toEqual(["read the stick: metal-rivet.yaml on the stick"]);
});

test("the stick is left alone where nobody asks for it, or another document is named", async () => {
  const stick = stickWith("log: json\n");
  for (const cmdline of ["rivet.log=text", "rivet.stick=1 rivet.config=http://10.0.0.1/rivet.yaml"]) {
    const from = await read(cmdline, stick);
    expect(from.hasDocument).toBeUndefined();
  }
  expect(stick.steps).toEqual([]);
});

test("a stick without document is a mistake, unless the kernel command line tells where to go", async () => {
  await expect(read("rivet.stick=1", stickWith(undefined))).rejects.toThrow("stick: metal-rivet.yaml: is not on it");
  for (const way of ["rivet.service=10.0.0.1:4443", `rivet.report_key=${reportKey}`, "PIXIE_API_URL=http://10.0.0.1"]) {
    expect((await read(`rivet.stick=1 ${way}`, stickWith(undefined))).hasDocument, way).toBeUndefined();
  }
});
