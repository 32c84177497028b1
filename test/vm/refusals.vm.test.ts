import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { freeTcpPort } from "../lab/ports.ts";
import { initPki, readCertificates } from "../lab/service.ts";
import { makeUpTruth } from "../lab/truth.ts";
import { type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

type Name = "one" | "two" | "bogus";

/** From AMI's firmware: a UUID that many machines have is none. */
const bogusUuid = "03000200-0400-0500-0006-000700080009";

interface Seen {
  readonly absentService: Boot;
  readonly garbage: Boot;
  readonly wrongCa: Boot;
  readonly wrongClient: Boot;
  readonly unreadable: Boot;
  readonly bogus: Boot;
}

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let seen: Seen;

beforeAll(async () => {
  site = stack.use(await openSite({ one: {}, two: {}, bogus: { truth: { ...makeUpTruth(), uuid: bogusUuid } } }));
  const foreignPki = join(site.directory, "foreign-pki");
  await initPki(foreignPki);
  const foreign = readCertificates(foreignPki, "agent");
  const nobody = `10.0.2.2:${await freeTcpPort()}`;

  const first = async () => ({
    absentService: await boot(site, "one", { config: { service: nobody, service_limit: 8 } }),
    garbage: await boot(site, "one", { args: 'rivet.servce=10.0.2.2:1 rivet.rotate=perhaps rivet.= =x "rivet.log' }),
    unreadable: await boot(site, "one", {
      config: { cert: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
    }),
  });
  const second = async () => ({
    wrongCa: await boot(site, "two", { config: { ca: foreign.ca } }),
    wrongClient: await boot(site, "two", { config: { cert: foreign.cert, key: foreign.key } }),
    bogus: await boot(site, "bogus"),
  });
  const [one, two] = await Promise.all([first(), second()]);
  seen = { ...one, ...two };
});
afterAll(() => stack.disposeAsync());

const says = (boot: Boot) =>
  boot.told
    .flatMap((told) => ("text" in told ? [told.text] : told.kind === "step" ? [told.step.detail] : []))
    .join("\n");

async function noRow(name: Name): Promise<void> {
  const { bmcMac } = site.machines[name].truth;
  const failure = await rowOf(site, bmcMac).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ServiceError);
  expect(failure).toMatchObject({ status: "not found" });
}

describe("the service is not there", () => {
  test("the run ends with exit code 69, says whom it could not reach and that it tried again", () => {
    expect(seen.absentService.exitCode, says(seen.absentService)).toBe(69);
    expect(says(seen.absentService)).toMatch(/10\.0\.2\.2:\d+/);
    expect(says(seen.absentService)).toMatch(/again|retr|attempt/i);
  });

  test("nothing on the BMC was changed", () => {
    expect(writesAmong(seen.absentService.commands)).toEqual([]);
  });
});

describe("certificates", () => {
  test("a CA that did not sign the service's certificate: exit code 77, and the BMC is left alone", () => {
    expect(seen.wrongCa.exitCode, says(seen.wrongCa)).toBe(77);
    expect(says(seen.wrongCa)).toMatch(/certificate|CA/);
    expect(writesAmong(seen.wrongCa.commands)).toEqual([]);
  });

  test("a client certificate of another CA: exit code 77, and the BMC is left alone", () => {
    expect(seen.wrongClient.exitCode, says(seen.wrongClient)).toBe(77);
    expect(says(seen.wrongClient)).toMatch(/certificate/);
    expect(writesAmong(seen.wrongClient.commands)).toEqual([]);
  });

  test("one that cannot be read: exit code 78, named by its key", () => {
    expect(seen.unreadable.exitCode, says(seen.unreadable)).toBe(78);
    expect(says(seen.unreadable)).toContain("cert");
    expect(writesAmong(seen.unreadable.commands)).toEqual([]);
  });

  test("no row came of it", async () => {
    await noRow("one");
    await noRow("two");
  });
});

describe("garbage on the kernel command line", () => {
  test("exit code 78, and the words are named", () => {
    expect(seen.garbage.exitCode, says(seen.garbage)).toBe(78);
    expect(says(seen.garbage)).toMatch(/rivet\.(servce|rotate|log)/);
    expect(writesAmong(seen.garbage.commands)).toEqual([]);
  });
});

describe("a UUID that many machines have", () => {
  test("exit code 78, the UUID is named, and nothing is reported or changed", async () => {
    expect(seen.bogus.exitCode, says(seen.bogus)).toBe(78);
    expect(says(seen.bogus)).toContain(bogusUuid);
    expect(writesAmong(seen.bogus.commands)).toEqual([]);
    await noRow("bogus");
  });
});
