import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { debianComponent, nodeComponents } from "./components.ts";
import { type BillOfMaterials, spdxDocument } from "./sbom.ts";

const kernel = debianComponent("linux-image-6.1.0-56-amd64_6.1.192-2_amd64");
const materials: BillOfMaterials = {
  version: "0.1.0+abc",
  epochSeconds: 315_532_800,
  agent: [
    { kind: "npm", name: "@grpc/grpc-js", version: "1.14.7", license: "Apache-2.0" },
    ...nodeComponents({ node: "26.10.0", v8: "14.1", ngtcp2: "", modules: "141", napi: "10" }),
  ],
  files: [
    { name: "vmlinuz", body: Buffer.from("kernel"), hasAgent: false, holds: [kernel], packed: [], includes: [] },
    {
      ...{ name: "initramfs.img", body: Buffer.from("ramdisk"), hasAgent: true, holds: [kernel], includes: [] },
      packed: [{ path: "opt/rivet/bin/metal-rivet", body: Buffer.from("agent") }],
    },
    {
      ...{ name: "metal-rivet.efi", body: Buffer.from("program"), hasAgent: true, holds: [kernel], packed: [] },
      includes: ["vmlinuz", "initramfs.img"],
    },
  ],
};
const text = spdxDocument(materials);
const document = JSON.parse(text);
const named = (name: string) => document.packages.find((each: { name: string }) => each.name === name);

describe("bill of materials", () => {
  test("has what SPDX 2.3 does not let anybody leave out", () => {
    expect(document).toMatchObject({
      spdxVersion: "SPDX-2.3",
      dataLicense: "CC0-1.0",
      SPDXID: "SPDXRef-DOCUMENT",
      name: "metal-rivet-0.1.0+abc",
      creationInfo: { created: "1980-01-01T00:00:00Z", creators: ["Tool: metal-rivet-image"] },
    });
    expect(document.documentNamespace).toMatch(/^https:\/\/[^#]+$/);
    for (const each of document.packages) {
      expect(each).toMatchObject({ filesAnalyzed: false, downloadLocation: "NOASSERTION" });
      expect(each.SPDXID).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
    }
    for (const each of document.files) {
      expect(each.fileName).toMatch(/^\.\//);
      expect(each.checksums.map(({ algorithm }: { algorithm: string }) => algorithm)).toEqual(["SHA1", "SHA256"]);
    }
  });

  test("every relation is between things that are there, and each thing has a name of its own", () => {
    const ids = [document, ...document.packages, ...document.files].map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
      expect(ids).toContain(spdxElementId);
      expect(ids).toContain(relatedSpdxElement);
    }
  });

  test("tells what is in which file, once", () => {
    const contains = document.relationships.filter(
      ({ relationshipType }: { relationshipType: string }) => relationshipType === "CONTAINS",
    );
    const of = (id: string) =>
      contains
        .filter(({ spdxElementId }: { spdxElementId: string }) => spdxElementId === id)
        .map(({ relatedSpdxElement }: { relatedSpdxElement: string }) => relatedSpdxElement);
    expect(of("SPDXRef-File-vmlinuz")).toEqual([named("linux-image-6.1.0-56-amd64").SPDXID]);
    const agent = "SPDXRef-Packed-opt-rivet-bin-metal-rivet";
    expect(of("SPDXRef-File-initramfs.img")).toEqual(expect.arrayContaining(["SPDXRef-Package-metal-rivet", agent]));
    const inProgram = ["SPDXRef-File-vmlinuz", "SPDXRef-File-initramfs.img"];
    expect(of("SPDXRef-File-metal-rivet.efi")).toEqual(expect.arrayContaining(inProgram));
    expect(of("SPDXRef-Package-metal-rivet")).toEqual(
      ["@grpc/grpc-js", "node", "v8"].map((name) => named(name).SPDXID),
    );
  });

  test("names packages as their registries do, with licence and version", () => {
    expect(named("@grpc/grpc-js")).toMatchObject({
      versionInfo: "1.14.7",
      licenseDeclared: "Apache-2.0",
      externalRefs: [{ referenceType: "purl", referenceLocator: "pkg:npm/%40grpc/grpc-js@1.14.7" }],
    });
    expect(named("linux-image-6.1.0-56-amd64")).toMatchObject({
      licenseDeclared: "GPL-2.0-only WITH Linux-syscall-note",
      externalRefs: [{ referenceLocator: "pkg:deb/debian/linux-image-6.1.0-56-amd64@6.1.192-2?arch=amd64" }],
    });
  });

  test.each([
    ["./vmlinuz", "kernel"],
    ["./opt/rivet/bin/metal-rivet", "agent"],
  ])("has the checksums of %s", (name, body) => {
    const { checksums } = document.files.find(({ fileName }: { fileName: string }) => fileName === name);
    expect(checksums[1].checksumValue).toBe(createHash("sha256").update(body).digest("hex"));
  });

  test("is the same for the same materials, and of another namespace for others", () => {
    expect(spdxDocument(materials)).toBe(text);
    const other = JSON.parse(spdxDocument({ ...materials, agent: [] }));
    expect(other.documentNamespace).not.toBe(document.documentNamespace);
  });
});
