import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The SMBIOS tables as bytes: what the kernel shows in /sys/firmware/dmi/tables. */
export interface SmbiosTables {
  /** `smbios_entry_point`. */
  readonly entryPoint: Uint8Array;
  /** `DMI`: all structures, one after the other. */
  readonly table: Uint8Array;
}

/** Where Linux shows the tables. */
export const defaultTablesDirectory = "/sys/firmware/dmi/tables";

/** The kernel shows no SMBIOS tables. */
export class SmbiosUnavailableError extends Error {
  override readonly name = "SmbiosUnavailableError";
  readonly code = "smbios-unavailable";
  readonly path: string;

  constructor(path: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `${path}: the SMBIOS table cannot be read (${reason}). Without it the machine cannot say which one it is. ` +
        "Is /sys mounted, does this run as root, and does the firmware have SMBIOS?",
      { cause },
    );
    this.path = path;
  }
}

/**
 * Reads both files.
 * @throws SmbiosUnavailableError
 */
export async function readSmbiosTables(
  directory: string = defaultTablesDirectory,
  signal?: AbortSignal,
): Promise<SmbiosTables> {
  const read = async (name: string): Promise<Uint8Array> => {
    const path = join(directory, name);
    try {
      return await readFile(path, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw new SmbiosUnavailableError(path, error);
    }
  };
  // One after the other: where both are missing, the first one is told each time.
  const entryPoint = await read("smbios_entry_point");
  return { entryPoint, table: await read("DMI") };
}
