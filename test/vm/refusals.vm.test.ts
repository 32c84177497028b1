import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { freeTcpPort } from "../lab/ports.ts";
import { initPki, readCertificates } from "../lab/service.ts";
import { makeUpTruth } from "../lab/truth.ts";
import { type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

type Name = "one" | "two" | "noSerial" | "noBmc";

/** From AMI's firmware: a UUID that many machines have is none. */
const bogusUuid = "03000200-0400-0500-0006-000700080009";

interface Seen {
  readonly absentService: Boot;
  readonly garbage: Boot;
  readonly wrongCa: Boot;
  readonly wrongClient: Boot;
  readonly unreadable: Boot;
  readonly noSerial: Boot;
  readonly noBmc: Boot;
}

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let seen: Seen;

beforeAll(async () => {
  const { smbios, fru, ...others } = makeUpTruth();
  const noSerial = {
    ...others,
    uuid: bogusUuid,
    smbios: { ...smbios, 2: { ...smbios[2], serial: "Default string" } },
    fru: { ...fru, boardSerial: "To be filled by O.E.M." },
  };
  site = stack.use(
    await openSite({
      one: {},
      two: {},
      noSerial: { truth: noSerial },
      noBmc: { truth: { ...makeUpTruth(), uuid: bogusUuid }, withBmc: false },
    }),
  );
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
    noSerial: await boot(site, "noSerial"),
  });
  const second = async () => ({
    wrongCa: await boot(site, "two", { config: { ca: foreign.ca } }),
    wrongClient: await boot(site, "two", { config: { cert: foreign.cert, key: foreign.key } }),
    noBmc: await boot(site, "noBmc"),
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

describe("a UUID that many machines have, and nothing to derive one from", () => {
  test.each([
    ["noSerial", /neither SMBIOS nor the FRU tells a serial number of the board/],
    ["noBmc", /the machine has no BMC/],
  ] as const)(
    "%s: exit code 78, UUID and reason are named, and nothing is reported or changed",
    async (name, reason) => {
      expect(seen[name].exitCode, says(seen[name])).toBe(78);
      expect(says(seen[name])).toContain(bogusUuid);
      expect(says(seen[name])).toMatch(reason);
      expect(writesAmong(seen[name].commands)).toEqual([]);
      await noRow(name);
    },
  );
});
