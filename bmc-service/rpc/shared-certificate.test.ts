import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type Clients, call, connectClients, refusal } from "../fixture/clients.ts";
import { EnrollingAgent, factsOf, mac1, mac2, uuid1, uuid2 } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService } from "../fixture/service.ts";
import { parseSubject } from "../pki/agent-certificates.ts";
import { type CertificateRole, createCertificateAuthority } from "../pki/certificate-authority.ts";
import { loopbackNames } from "../pki/certificate-name.ts";

let site: Site;
beforeEach(async () => {
  site = await newSite();
});
afterEach(() => site[Symbol.dispose]());

/** Replaces the site's certificates, and has one like metal-stack's pixie in the place of an agent's. */
async function issueLike(unit: string): Promise<void> {
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 60_000) };
  const authority = await createCertificateAuthority(validity);
  writeFileSync(join(site.pki, "ca.pem"), authority.certificate);
  const issue = async (name: string, role: string, commonName: string) => {
    const names = role === "server" ? loopbackNames : [];
    const { certificate, key } = await authority.issue(role as CertificateRole, commonName, names);
    writeFileSync(join(site.pki, `${name}.pem`), certificate);
    writeFileSync(join(site.pki, `${name}.key`), key, { mode: 0o600 });
  };
  await issue("server", "server", "bmc-service");
  await issue("agent", unit, "grpc-client");
  for (const role of ["viewer", "operator", "admin"]) await issue(role, role, role);
}

async function withService(subjects: readonly string[], body: (pixie: Clients, viewer: Clients) => Promise<void>) {
  const agentCertificates = subjects.map(parseSubject);
  await using service = await startTestService(site, new FakeBmc(mac1).connect, { agentCertificates });
  using pixie = connectClients(service.running.port, site.pki, "agent");
  await body(pixie, service.viewer);
}

test("a certificate without a role of ours is refused, unless its subject is named: then it enrols any machine, and the rows say so", async () => {
  await issueLike("DevOps");
  for (const subjects of [[], ["CN=other"], ["CN=grpc-client,OU=Ops"]]) {
    await withService(subjects, async (pixie) => {
      expect(await refusal(new EnrollingAgent(pixie).begin(uuid1))).toMatchObject({
        code: "PERMISSION_DENIED",
        details: 'Begin needs role "agent", the client certificate has role (OU) "DevOps"',
      });
    });
  }
  await withService(["CN=other", "CN=grpc-client,OU=DevOps"], async (pixie, viewer) => {
    for (const [uuid, mac] of [
      [uuid1, mac1],
      [uuid2, mac2],
    ] as const) {
      const agent = new EnrollingAgent(pixie);
      await agent.begin(uuid);
      await agent.report(factsOf(mac));
      const { bmc: row } = await call(viewer.bmc, viewer.bmc.getBmc, { key: mac, showSecrets: false });
      expect(row?.warnings).toMatchObject([
        { kind: WarningKind.WARNING_KIND_SHARED_CERTIFICATE, text: expect.stringContaining('"grpc-client"') },
      ]);
    }
    expect(await refusal(call(pixie.bmc, pixie.bmc.listBmcs, {}))).toMatchObject({ code: "PERMISSION_DENIED" });
  });
});

test("a certificate that is named is an agent's and nobody else's, also with the role of an admin in it", async () => {
  await issueLike("admin");
  await withService(["CN=grpc-client"], async (pixie) => {
    await new EnrollingAgent(pixie).begin(uuid1);
    expect(await refusal(call(pixie.bmc, pixie.bmc.listBmcs, {}))).toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await refusal(call(pixie.bmc, pixie.bmc.deleteBmc, { key: mac1 }))).toMatchObject({
      code: "PERMISSION_DENIED",
    });
  });
});
