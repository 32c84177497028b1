/**
 * The label in the first sector of a FAT file system, without the spaces at its end; undefined if it is none.
 * Microsoft, "FAT: General Overview of On-Disk Format" 1.03, "Boot Sector and BPB".
 * @param sector 512 bytes at least
 */
export function parseFatLabel(sector: Uint8Array): string | undefined {
  const bytes = Buffer.from(sector.buffer, sector.byteOffset, sector.length);
  if (bytes.length < 512 || bytes.readUInt16LE(510) !== 0xaa55) return undefined;
  const sectorBytes = bytes.readUInt16LE(11); // BPB_BytsPerSec
  if (![512, 1024, 2048, 4096].includes(sectorBytes) || bytes.readUInt8(16) === 0) return undefined;
  // BPB_FATSz16 is zero for FAT32, whose boot sector goes on in another way.
  const extended = bytes.readUInt16LE(22) === 0 ? 66 : 38; // BS_BootSig
  if (bytes.readUInt8(extended) !== 0x29 || !bytes.toString("latin1", extended + 16, extended + 19).startsWith("FAT")) {
    return undefined;
  }
  return bytes.toString("latin1", extended + 5, extended + 16).trimEnd();
}
