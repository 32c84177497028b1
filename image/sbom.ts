/** The software bill of materials as an SPDX document. Source: SPDX specification 2.3, JSON form. */

import { createHash } from "node:crypto";

/** Something that was built by others. */
export interface Component {
  readonly kind: "npm" | "debian" | "node" | "in-node";
  readonly name: string;
  readonly version: string;
  /** Of a Debian package. */
  readonly architecture?: string;
  /** An SPDX licence expression; undefined where nobody has written one. */
  readonly license: string | undefined;
}

/** A file within what is built. */
export interface PackedFile {
  /** Without "/" in front. */
  readonly path: string;
  readonly body: Buffer;
}

export interface BuiltFile {
  readonly name: string;
  readonly body: Buffer;
  readonly hasAgent: boolean;
  /** What is in it besides the agent. */
  readonly holds: readonly Component[];
  /** The files that it unpacks to. */
  readonly packed: readonly PackedFile[];
  /** Names of other built files that are in it whole. */
  readonly includes: readonly string[];
}

export interface BillOfMaterials {
  readonly version: string;
  readonly epochSeconds: number;
  /** What is in the agent itself. */
  readonly agent: readonly Component[];
  readonly files: readonly BuiltFile[];
}

interface Relationship {
  readonly spdxElementId: string;
  readonly relationshipType: "DESCRIBES" | "CONTAINS";
  readonly relatedSpdxElement: string;
}

const documentId = "SPDXRef-DOCUMENT";
const agentId = "SPDXRef-Package-metal-rivet";

/** An identifier may have letters, digits, "." and "-" only. SPDX 2.3 §6.3, §7.2. */
const idOf = (kind: string, name: string): string => `SPDXRef-${kind}-${name.replaceAll(/[^A-Za-z0-9.-]/g, "-")}`;
const componentId = ({ kind, name, version }: Component): string => idOf("Package", `${kind}-${name}-${version}`);
const fileId = (name: string): string => idOf("File", name);
const packedId = (path: string): string => idOf("Packed", path);
const digest = (algorithm: "sha1" | "sha256", body: Buffer | string): string =>
  createHash(algorithm).update(body).digest("hex");

/** The document as text; the same for the same materials. */
export function spdxDocument({ version, epochSeconds, agent, files }: BillOfMaterials): string {
  const components = unique([...agent, ...files.flatMap(({ holds }) => holds)]);
  // The same agent and libraries are in more than one.
  const packed = new Map(files.flatMap((file) => file.packed.map((each) => [each.path, each] as const)));
  const fileEntries = [
    ...files.map(({ name, body }) => fileEntry(fileId(name), name, body)),
    ...[...packed.values()].map(({ path, body }) => fileEntry(packedId(path), path, body)),
  ];
  const relationships: Relationship[] = [
    ...files.map(({ name }) => related(documentId, "DESCRIBES", fileId(name))),
    ...agent.map((component) => related(agentId, "CONTAINS", componentId(component))),
    ...files.flatMap(({ name, hasAgent, holds, packed: contents, includes }) =>
      [
        ...(hasAgent ? [agentId] : []),
        ...holds.map(componentId),
        ...includes.map(fileId),
        ...contents.map(({ path }) => packedId(path)),
      ].map((id) => related(fileId(name), "CONTAINS", id)),
    ),
  ];
  const content = { packages: [agentEntry(version), ...components.map(componentEntry)], files: fileEntries };
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: documentId,
    name: `metal-rivet-${version}`,
    // Has to be another one for each other document (§6.5).
    documentNamespace: `https://spdx.org/spdxdocs/metal-rivet-${digest("sha256", JSON.stringify({ content, relationships }))}`,
    creationInfo: {
      created: new Date(epochSeconds * 1000).toISOString().replace(/\.\d+Z$/, "Z"),
      creators: ["Tool: metal-rivet-image"],
    },
    ...content,
    relationships,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

const related = (
  spdxElementId: string,
  relationshipType: Relationship["relationshipType"],
  relatedSpdxElement: string,
): Relationship => ({ spdxElementId, relationshipType, relatedSpdxElement });

function unique(components: readonly Component[]): Component[] {
  const byId = new Map(components.map((component) => [componentId(component), component]));
  return [...byId].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component);
}

function fileEntry(id: string, path: string, body: Buffer) {
  return {
    SPDXID: id,
    fileName: `./${path}`,
    // SHA-1 is not to be left out (§8.4); the other is the one to check.
    checksums: [
      { algorithm: "SHA1", checksumValue: digest("sha1", body) },
      { algorithm: "SHA256", checksumValue: digest("sha256", body) },
    ],
    licenseConcluded: "NOASSERTION",
    licenseInfoInFiles: ["NOASSERTION"],
    copyrightText: "NOASSERTION",
  };
}

const common = { filesAnalyzed: false, copyrightText: "NOASSERTION", licenseConcluded: "NOASSERTION" } as const;

function agentEntry(version: string) {
  const name = "metal-rivet";
  return {
    SPDXID: agentId,
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    ...common,
    licenseDeclared: "MIT",
  };
}

function componentEntry(component: Component) {
  const { name, version, license } = component;
  return {
    SPDXID: componentId(component),
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
    ...common,
    licenseDeclared: license ?? "NOASSERTION",
    externalRefs: [
      { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: packageUrl(component) },
    ],
  };
}

/** Package URL specification: types npm, deb and generic. */
function packageUrl({ kind, name, version, architecture }: Component): string {
  const escaped = (text: string): string => encodeURIComponent(text);
  switch (kind) {
    case "npm":
      return `pkg:npm/${name.split("/").map(escaped).join("/")}@${escaped(version)}`;
    case "debian":
      return `pkg:deb/debian/${escaped(name)}@${escaped(version)}${architecture === undefined ? "" : `?arch=${architecture}`}`;
    case "node":
    case "in-node":
      return `pkg:generic/${escaped(name)}@${escaped(version)}`;
    default:
      return kind satisfies never;
  }
}
