/**
 * Writes the "newc" form of cpio, which the kernel unpacks as its first root file system.
 * Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
 * Nothing of the building machine gets in: owner 0, time 0, inodes counted from 1.
 */

export type CpioEntry =
  | { readonly kind: "folder"; readonly path: string; readonly mode?: number }
  | { readonly kind: "file"; readonly path: string; readonly body: Buffer; readonly mode?: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "character device"; readonly path: string; readonly major: number; readonly minor: number };

/** A file of the archive is at most 4 GiB less one byte: its size has eight hexadecimal digits. */
const largestFile = 0xffff_ffff;

const fileType = { folder: 0o040000, file: 0o100000, link: 0o120000, "character device": 0o020000 } as const;
const trailer = "TRAILER!!!";

/** Everything needed to make a path exist: the folders above it, outermost first. Paths are relative, without "./". */
export function foldersAbove(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

/**
 * The archive's parts, each the bytes of one group of entries; together, in order, they are the archive, which ends with
 * the last part. Within a group entries are sorted by path. Folders that are not named are added with mode 755.
 * Throws when a path is absolute, climbs, or appears twice.
 */
export function cpioArchive(groups: readonly (readonly CpioEntry[])[]): Buffer[] {
  const named = new Set(groups.flat().map(({ path }) => path));
  if (named.size !== groups.flat().length) throw new Error("cpio: a path appears twice");
  const written = new Set<string>();
  let inode = 0;

  const parts = groups.map((group): Buffer => {
    const missing = new Set(group.flatMap(({ path }) => foldersAbove(path)).filter((path) => !named.has(path)));
    const folders = [...missing].filter((path) => !written.has(path));
    for (const path of folders) written.add(path);
    const entries = [...group, ...folders.map((path): CpioEntry => ({ kind: "folder", path }))];
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    return Buffer.concat(entries.map((entry) => writeEntry(entry, ++inode)));
  });
  parts.push(record({ path: trailer, inode: 0, mode: 0, links: 1, major: 0, minor: 0 }, Buffer.alloc(0)));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  // The kernel wants whole 4-byte units; 512 is what cpio programs expect of an archive.
  const padding = Buffer.alloc((512 - (length % 512)) % 512);
  const last = parts.splice(-2).concat(padding);
  return [...parts, Buffer.concat(last)];
}

function writeEntry(entry: CpioEntry, inode: number): Buffer {
  const { path } = entry;
  if (path === "" || path.startsWith("/") || path.split("/").some((name) => name === "" || name === "..")) {
    throw new Error(`cpio: ${JSON.stringify(path)} is not a path within the archive`);
  }
  const common = { path, inode, links: 1, major: 0, minor: 0 };
  const type = fileType[entry.kind];
  switch (entry.kind) {
    case "folder":
      return record({ ...common, mode: type | (entry.mode ?? 0o755), links: 2 }, Buffer.alloc(0));
    case "file":
      return record({ ...common, mode: type | (entry.mode ?? 0o644) }, entry.body);
    case "link":
      return record({ ...common, mode: type | 0o777 }, Buffer.from(entry.target));
    case "character device":
      return record({ ...common, mode: type | 0o600, major: entry.major, minor: entry.minor }, Buffer.alloc(0));
    default:
      return entry satisfies never;
  }
}

interface RecordHead {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  /** Of the device that a device node stands for. */
  readonly major: number;
  readonly minor: number;
}

function record(head: RecordHead, body: Buffer): Buffer {
  if (body.length > largestFile) throw new Error(`cpio: ${head.path}: ${body.length} bytes do not fit`);
  const name = Buffer.from(`${head.path}\0`);
  const numbers = [
    head.inode,
    head.mode,
    0, // user
    0, // group
    head.links,
    0, // time of change
    body.length,
    0, // device the file lies on
    0,
    head.major,
    head.minor,
    name.length,
    0, // checksum, of the "crc" form only
  ];
  const text = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(text), name])), padded(body)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
