import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bmc, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ProcessWatch } from "../canary/process-watch.ts";
import { filesHolding, textsHolding } from "../canary/search.ts";
import { writesAmong } from "../lab/codec-proxy.ts";
import { initPki, newToken, readCertificates } from "../lab/service.ts";
import { type Boot, boot, openSite, rowOf, type Site } from "./site.ts";

type Name = "one" | "two";

interface Seen {
  readonly token: string;
  readonly linked: Boot;
  readonly row: Bmc;
  readonly spent: Boot;
  readonly neither: Boot;
  readonly foreign: Boot;
  readonly pinned: Boot;
}

const stack = new AsyncDisposableStack();
let site: Site<Name>;
let watch: ProcessWatch;
let seen: Seen;

beforeAll(async () => {
  watch = stack.use(new ProcessWatch());
  site = stack.use(await openSite({ one: {}, two: {} }));
  const foreignPki = `${site.directory}/foreign-pki`;
  await initPki(foreignPki);
  const own = new X509Certificate(site.certificates.ca).fingerprint256;
  const { one, two } = site.machines;
  const withoutCertificate = true;
  const token = await newToken(site.service, one.truth.uuid, 1);

  const first = async () => ({
    linked: await boot(site, "one", { withoutCertificate, config: { token }, args: `rivet.ca_sha256=${own}` }),
    row: await rowOf(site, one.truth.bmcMac),
    spent: await boot(site, "one", { withoutCertificate, config: { token } }),
  });
  const second = async () => ({
    neither: await boot(site, "two", { withoutCertificate }),
    foreign: await boot(site, "two", {
      withoutCertificate,
      config: { token: await newToken(site.service, one.truth.uuid, 1) },
    }),
    // Somebody on the road gives it the CA of a service of their own.
    pinned: await boot(site, "two", {
      withoutCertificate,
      config: { token: await newToken(site.service, two.truth.uuid, 1), ca: readCertificates(foreignPki, "agent").ca },
      args: `rivet.ca_sha256=${own}`,
    }),
  });
  const [lane1, lane2] = await Promise.all([first(), second()]);
  seen = { token, ...lane1, ...lane2 };
});
afterAll(() => stack.disposeAsync());

const says = (boot: Boot) =>
  boot.told
    .flatMap((told) => ("text" in told ? [told.text] : told.kind === "step" ? [told.step.detail] : []))
    .join("\n");

describe("a machine with an enrolment token and no certificate", () => {
  test("is linked, and its certificate is its own", () => {
    expect(seen.linked.exitCode, says(seen.linked)).toBe(0);
    expect(seen.row).toMatchObject({ state: State.STATE_LINKED, warnings: [] });
  });

  test("whose token is spent ends with exit code 77, and the BMC is left alone", () => {
    expect(seen.spent.exitCode, says(seen.spent)).toBe(77);
    expect(says(seen.spent)).toContain("enrolment_token: it was used as often as it may be");
    expect(writesAmong(seen.spent.commands)).toEqual([]);
  });

  test("whose token is another machine's ends with exit code 77, and the BMC is left alone", () => {
    expect(seen.foreign.exitCode, says(seen.foreign)).toBe(77);
    expect(says(seen.foreign)).toContain("enrolment_token: it was made for another machine");
    expect(writesAmong(seen.foreign.commands)).toEqual([]);
  });
});

test("a machine with neither says what it needs", () => {
  expect(seen.neither.exitCode, says(seen.neither)).toBe(78);
  expect(says(seen.neither)).toContain("there is neither a certificate nor an enrolment token");
  expect(seen.neither.commands).toEqual([]);
});

test("a CA that is not the pinned one ends with exit code 78, before anything is said to it", () => {
  expect(seen.pinned.exitCode, says(seen.pinned)).toBe(78);
  expect(says(seen.pinned)).toContain("is not the certificate that ca_sha256 pins");
  expect(writesAmong(seen.pinned.commands)).toEqual([]);
});

test("the token lies in no file, command line or environment", () => {
  expect(filesHolding(seen.token, site.directory, [])).toEqual([]);
  expect(textsHolding(seen.token, watch.seen)).toEqual([]);
});
