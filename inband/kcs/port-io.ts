/**
 * The seam below raw KCS: single bytes from and to the I/O ports of this machine. Only here do tests swap.
 * A read of the data register has an effect on the BMC's side: it clears OBF. IPMI 2.0 §9.5.
 */
export interface PortIo {
  /** For example "/dev/port". */
  readonly path: string;
  /**
   * One byte of a port, 0-255; FFh where nobody answers. Does not block.
   * @param port address in the I/O space, 0-FFFFh
   * @throws Error of the operating system; nothing was read then
   */
  read(port: number): number;
  /**
   * Writes one byte to a port. Does not block.
   * @throws Error of the operating system; nothing was written then
   */
  write(port: number, value: number): void;
  close(): void;
}
