import { closeFile, ioctl, LibcError, openSocket } from "../libc.ts";

/** linux/if_vlan.h */
const setVlan = 0x8983; // SIOCSIFVLAN
const commands = { add: 0, remove: 1, setNameType: 6 } as const;
const deviceAndId = 3; // VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD: "eth0.5"
const longestName = 15;
const notInstalled = 65; // ENOPKG

/** The kernel knows no VLANs: no adapter will do, however long is waited. */
export class NoVlansError extends Error {
  override readonly name = "NoVlansError";
  readonly code = "no-vlans";
}

/** struct vlan_ioctl_args: command, device, a union (number or name), quality of service; 56 bytes. */
function request(command: number, device: string, value: number): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeInt32LE(command, 0);
  bytes.write(device, 4, 23, "latin1");
  bytes.writeInt32LE(value, 28);
  return bytes;
}

function call(bytes: Buffer, what: string): void {
  const fd = openSocket(2, 2, 0);
  try {
    ioctl(fd, setVlan, bytes, what);
  } finally {
    closeFile(fd);
  }
}

export const vlanName = (device: string, id: number): string => `${device}.${id}`;

/**
 * Makes the tagged interface `DEVICE.ID`; one that is there stays. Needs the module 8021q.
 * @param id 1 to 4094
 * @returns whether it was made now
 * @throws NoVlansError; LibcError; Error if the name would be too long for the kernel
 */
export function addVlan(device: string, id: number): boolean {
  const name = vlanName(device, id);
  if (name.length > longestName) throw new Error(`VLAN ${id}: the name ${name} is longer than ${longestName} letters`);
  const what = `VLAN ${id} on ${device}`;
  try {
    call(request(commands.setNameType, "", deviceAndId), what);
    call(request(commands.add, device, id), what);
    return true;
  } catch (error) {
    if (error instanceof LibcError && error.errno === notInstalled) {
      throw new NoVlansError(`${what}: this kernel knows no VLANs; put its module 8021q into the ramdisk`, {
        cause: error,
      });
    }
    if (!(error instanceof LibcError && error.code === "EEXIST")) throw error;
    return false;
  }
}

/** Takes away a tagged interface with its addresses and routes. */
export function removeVlan(device: string, id: number): void {
  call(request(commands.remove, vlanName(device, id), 0), `removing VLAN ${id} of ${device}`);
}
