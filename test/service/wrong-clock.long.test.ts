import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sntpReply, startSntpServer } from "../../agent/clock/sntp-server.fixture.ts";
import { completeSettings } from "../../agent/config/settings.ts";
import type { Console } from "../../agent/console.ts";
import { begin } from "../../agent/enrolment.ts";
import { realWorld } from "../../agent/real-world.ts";
import { machineOf, uuid1 } from "../../bmc-service/fixture/enrolling.ts";
import { makeAuthority, type Validity, validNow } from "../../outband-client/service/fixture/pki.ts";
import { serve } from "../../outband-client/service/fixture/server.ts";
import { EnrolmentServiceService } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

const forever = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wrong-clock-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/**
 * The agent's own code begins at a service with a certificate of this validity. Nobody here tells a time that would be taken: a
 * test must not set the clock of the machine that it runs on.
 */
async function beginAt(validity: Validity) {
  const authority = await makeAuthority();
  const unanswered = () => undefined;
  const service = await authority.server(["127.0.0.1"], validity);
  await using server = await serve(EnrolmentServiceService, { begin: unanswered }, authority.ca, service);
  const { cert, key } = await authority.client("agent");
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  let questions = 0;
  using ntp = await startSntpServer((nonce) => {
    questions += 1;
    return [sntpReply({ nonce, seconds: 3_155_587_200 })]; // the last day of 1999
  });
  const values = {
    service: `127.0.0.1:${server.port}`,
    service_limit: "1",
    ntp: ntp.server,
    ca: file("ca", authority.ca),
    cert: file("cert", cert),
    key: file("key", key),
  };
  const name = "kernel command line";
  const settings = await completeSettings([{ name, kind: "kernel", values: new Map(Object.entries(values)) as never }]);
  const said: string[] = [];
  const world = realWorld(settings, { note: (text: string) => void said.push(text) } as Console);
  const failed = await begin(world, machineOf(uuid1), forever).then(
    () => new Error("it has begun"),
    (error: Error) => error,
  );
  return { failed, said, questions, ntp: ntp.server };
}

test("a certificate that expired by the clock here has the time looked for, and told", async () => {
  const { failed, said, questions, ntp } = await beginAt({
    notBefore: new Date("2020-01-01"),
    notAfter: new Date("2021-01-01"),
  });
  expect(failed).toMatchObject({ name: "ServiceError", status: "refused" });
  expect(questions).toBe(1);
  expect(said[0]).toContain(`the NTP server ${ntp} says 1999-12-31T00:00:00`);
  expect(said[1]).toContain("the certificate cannot tell how long ago it expired");
});

test("nobody is asked for the time where the certificate is valid", async () => {
  const { failed, questions } = await beginAt(validNow());
  expect(failed.message).not.toContain("certificate");
  expect(questions).toBe(0);
});
