import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { build } from "esbuild";
import { execa } from "execa";
import { afterAll, describe, expect, test } from "vitest";

// Made by `npm run image`, which `npm test` runs before this.
const root = join(import.meta.dirname, "..");
const folder = join(root, "dist/image");
const scratch = mkdtempSync(join(tmpdir(), "rivet-bill-"));
const toolLimitMs = 60_000;
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Entry {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly licenseDeclared: string;
  readonly fileName: string;
  readonly checksums: readonly { readonly algorithm: string; readonly checksumValue: string }[];
}

const bill = JSON.parse(readFileSync(join(folder, "metal-rivet.spdx.json"), "utf8")) as {
  readonly packages: readonly Entry[];
  readonly files: readonly Entry[];
  readonly relationships: readonly Readonly<Record<string, string>>[];
};
const { artefacts } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
  readonly artefacts: readonly { readonly file: string; readonly sha256: string }[];
};
const checksum = ({ checksums }: Entry): string | undefined =>
  checksums.find(({ algorithm }) => algorithm === "SHA256")?.checksumValue;
const containedIn = (id: string): Set<string | undefined> =>
  new Set(
    bill.relationships
      .filter(({ spdxElementId, relationshipType }) => spdxElementId === id && relationshipType === "CONTAINS")
      .map(({ relatedSpdxElement }) => relatedSpdxElement),
  );

/** The archives of a ramdisk, unpacked by foreign programs. Device nodes are left out: making them needs root. */
async function unpack(image: Buffer, into: string): Promise<void> {
  mkdirSync(into);
  const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  for (let start = image.indexOf(magic), end = 0; start >= 0; start = end) {
    end = image.indexOf(magic, start + 1);
    // A frame begins at a multiple of four; anything else that looks like one is part of another.
    while (end >= 0 && end % 4 !== 0) end = image.indexOf(magic, end + 1);
    const archive = zstdDecompressSync(image.subarray(start, end < 0 ? undefined : end));
    const words = ["--extract", "--quiet", "--make-directories", "--nonmatching", "dev/*"];
    await execa("cpio", words, { cwd: into, input: archive, timeout: toolLimitMs });
  }
}

function filesBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(top, join(entry.parentPath, entry.name)));
}

describe("the bill of materials", () => {
  test("has the checksums of all that lies beside it", () => {
    const built = artefacts.filter(({ file }) => file !== "metal-rivet.spdx.json");
    expect(built.length).toBe(5);
    for (const { file, sha256 } of built) {
      const entry = bill.files.find(({ fileName }) => fileName === `./${file}`);
      expect(entry && checksum(entry), file).toBe(sha256);
    }
  });

  test.each([
    ["initramfs.img", 80],
    ["overlay.img", 5],
  ])("lists the files of %s as foreign programs unpack them, with their checksums", async (image, least) => {
    const into = join(scratch, image);
    await unpack(readFileSync(join(folder, image)), into);
    const actual = filesBelow(into).map((path) => [
      `./${path}`,
      createHash("sha256")
        .update(readFileSync(join(into, path)))
        .digest("hex"),
    ]);
    expect(actual.length).toBeGreaterThan(least);
    const ids = containedIn(`SPDXRef-File-${image}`);
    const listed = bill.files.filter(({ SPDXID }) => ids.has(SPDXID)).map((entry) => [entry.fileName, checksum(entry)]);
    expect(new Map(listed as [string, string][])).toEqual(new Map(actual as [string, string][]));
    expect(statSync(join(into, "opt/rivet/bin/metal-rivet")).mode & 0o777).toBe(0o755);
  });

  test("names the npm packages that the agent is bundled from, with licences", async () => {
    const { metafile } = await build({
      entryPoints: [join(root, "agent/main.ts")],
      absWorkingDir: root,
      ...{
        bundle: true,
        platform: "node",
        format: "esm",
        write: false,
        metafile: true,
        outdir: scratch,
        splitting: true,
      },
      alias: { "@grpc/proto-loader": join(root, "image/no-proto-loader.cjs") },
      logLevel: "error",
    });
    const folders = Object.keys(metafile.inputs).flatMap(
      (path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? [],
    );
    const bundled = [...new Set(folders)].map((each) => {
      const { name, version } = JSON.parse(readFileSync(join(root, each, "package.json"), "utf8"));
      return `${name} ${version}`;
    });
    const ids = containedIn("SPDXRef-Package-metal-rivet");
    const listed = bill.packages.filter(({ SPDXID }) => SPDXID.includes("-npm-"));
    expect(listed.filter(({ SPDXID }) => !ids.has(SPDXID))).toEqual([]);
    expect(listed.map(({ name, versionInfo }) => `${name} ${versionInfo}`).sort()).toEqual(bundled.sort());
    for (const { name, licenseDeclared } of listed) expect(licenseDeclared, name).not.toBe("NOASSERTION");
  });

  test("names the Debian packages that the rest comes from, with licences, and what is in Node", () => {
    const debian = bill.packages.filter(({ SPDXID }) => SPDXID.includes("-debian-"));
    const names = debian.map(({ name }) => name.replace(/^linux-image-\d.*/, "linux-image"));
    const wanted = ["grub-pc-bin", "libatomic1", "libc6", "libgcc-s1", "libstdc++6", "linux-image", "systemd-boot-efi"];
    expect(names.sort()).toEqual(wanted);
    for (const { name, licenseDeclared } of debian) expect(licenseDeclared, name).not.toBe("NOASSERTION");
    expect(bill.packages.map(({ name }) => name)).toEqual(expect.arrayContaining(["node", "openssl", "v8"]));
    for (const { name, versionInfo } of bill.packages) expect(versionInfo, name).not.toBe("");
  });
});
