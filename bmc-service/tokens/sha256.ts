import { createHash } from "node:crypto";

/** 32 bytes. */
export function sha256(data: Uint8Array | string): Buffer {
  return createHash("sha256").update(data).digest();
}
