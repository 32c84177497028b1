/** A cpio archive compressed by zstd, and how much of it each of its parts takes. */

import { once } from "node:events";
import { constants, createZstdCompress } from "node:zlib";
import { type CpioEntry, cpioArchive } from "./cpio.ts";

/** Entries that are counted together. */
export interface CpioPart {
  readonly name: string;
  readonly entries: readonly CpioEntry[];
}

/** Sizes in bytes; `packed` is the share in the compressed archive. */
export interface PartSize {
  readonly name: string;
  readonly bytes: number;
  readonly packed: number;
}

export interface PackedCpio {
  readonly image: Buffer;
  readonly parts: readonly PartSize[];
}

/**
 * The kernel unpacks one archive after the other, each compressed or not. One that is not compressed must begin at a multiple
 * of four bytes, so what stands before it is padded. Linux init/initramfs.c, unpack_to_rootfs.
 */
export function padded(archive: Buffer): Buffer {
  return Buffer.concat([archive, Buffer.alloc((4 - (archive.length % 4)) % 4)]);
}

/** The archive as it is. */
export function plainCpio(parts: readonly CpioPart[]): Buffer {
  return Buffer.concat(cpioArchive(parts.map(({ entries }) => entries)));
}

/**
 * The archive in one zstd frame: the kernel wants the end of an archive at the end of a frame.
 * `level` is 1 to 19; beyond that the kernel's decompressor would need more memory than it has.
 */
export async function packCpio(parts: readonly CpioPart[], level: number): Promise<PackedCpio> {
  const bodies = cpioArchive(parts.map(({ entries }) => entries));
  const packer = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const pieces: Buffer[] = [];
  packer.on("data", (piece: Buffer) => pieces.push(piece));
  const packedSoFar = (): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

  const sizes: PartSize[] = [];
  let before = 0;
  for (const [index, { name }] of parts.entries()) {
    const body = bodies[index] ?? Buffer.alloc(0);
    packer.write(body);
    if (index === parts.length - 1) {
      packer.end();
      await once(packer, "end");
    } else {
      // A flush costs a few bytes and tells exactly how many of the compressed bytes are this part's.
      await new Promise<void>((done) => packer.flush(done));
    }
    sizes.push({ name, bytes: body.length, packed: packedSoFar() - before });
    before = packedSoFar();
  }
  return { image: Buffer.concat(pieces), parts: sizes };
}

/** Several archives one behind the other, as the kernel unpacks them. */
export function joined(archives: readonly PackedCpio[]): PackedCpio {
  return {
    image: Buffer.concat(archives.map(({ image }) => padded(image))),
    parts: archives.flatMap(({ parts }) => parts),
  };
}

/** Bytes; four are enough for lz4. A block of cpio, so that programs which count in blocks find the archive. */
const gap = 512;

/**
 * An archive for the place behind somebody else's. What `lz4 -l` writes has no end mark: the kernel takes the next four bytes for
 * the length of one more block, unless they are zero, and would lose what follows (lib/decompress_unlz4.c). Boot loaders put at
 * most three zeros between two archives, UEFI's stub of the kernel none. Zeros between archives are skipped.
 */
export function behindAnother(archive: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(gap), archive]);
}
