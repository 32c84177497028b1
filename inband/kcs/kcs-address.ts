/** Where the two registers of a KCS interface are in the I/O space. IPMI 2.0 §9.5; SMBIOS 3.7 §7.39.1. */
export interface KcsAddress {
  /** Port of Data_In and Data_Out; status and command are `spacing` further. */
  readonly port: number;
  /** From one register to the next, in bytes. */
  readonly spacing: number;
}

/** The first four hexadecimal digits are all that the I/O space of x86 has. */
const highestPort = 0xffff;

/** Reads "io:0xca2" and "io:0xca2,spacing=4"; undefined for all else. Without spacing it is 1. */
export function parseKcsAddress(text: string): KcsAddress | undefined {
  const [, digits, spacingText = "1"] = /^io:0x([0-9a-f]{1,4})(?:,spacing=(1|2|4|8|16))?$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const port = Number.parseInt(digits, 16);
  const spacing = Number(spacingText);
  return port === 0 || port + spacing > highestPort ? undefined : { port, spacing };
}
