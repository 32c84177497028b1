import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** What was read of a file. */
export interface RegularFile {
  /** At most one byte more than asked for: then the file is longer. */
  readonly bytes: Buffer;
  /** As stat tells it. */
  readonly mode: number;
}

/**
 * Reads a regular file, and no more of it than is of use: a device may never end, and some files are longer than stat says. Whoever
 * opens a pipe waits for the other end, so that it is opened without waiting, and refused.
 * @throws Error what fileProblem puts in words; `otherKind` if it is no regular file
 */
export async function readRegularFile(
  path: string,
  mostBytes: number,
  otherKind = "it is no regular file",
): Promise<RegularFile> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const found = await file.stat();
  if (!found.isFile()) throw new Error(found.isDirectory() ? "it is a directory" : otherKind);
  const room = Buffer.alloc(mostBytes + 1);
  let size = 0;
  while (size < room.length) {
    const { bytesRead } = await file.read(room, size);
    if (bytesRead === 0) break;
    size += bytesRead;
  }
  return { bytes: room.subarray(0, size), mode: found.mode };
}
