import type { Message } from "../../ipmi/transport.ts";
import { DeviceError, type DeviceReply, Errno, type IpmiDevice } from "./ipmi-device.ts";
import { type Libc, loadLibc } from "./libc.ts";

/**
 * The device of the kernel module ipmi_devintf, by its ioctls. Linux include/uapi/linux/ipmi.h, 64-bit.
 * Several processes may have it open: the kernel numbers the requests of each on its own and gives nobody the replies
 * of another, so no lock is taken.
 */

/** `struct ipmi_req`: addr pointer, addr_len, msgid, then netfn, cmd, data_len, data pointer. */
const request = { bytes: 40, address: 0, addressLength: 8, id: 16, netFn: 24, cmd: 25, dataLength: 26, data: 32 };

/** `struct ipmi_recv`: recv_type, addr pointer, addr_len, msgid, then netfn, cmd, data_len, data pointer. */
const received = {
  bytes: 48,
  kind: 0,
  address: 8,
  addressLength: 16,
  id: 24,
  netFn: 32,
  cmd: 33,
  dataLength: 34,
  data: 40,
};

/** `struct ipmi_system_interface_addr`: type, channel, lun. */
const systemInterfaceAddress = { bytes: 8, type: 0x0c, channel: 0x0f };

/** `struct ipmi_addr`, the largest that the kernel writes back. */
const anyAddressBytes = 40;

/** IPMI_RESPONSE_RECV_TYPE; the others are events and commands for us, which nobody asked for. */
const responseKind = 1;

/** Larger than IPMI_MAX_MSG_LENGTH (272). */
const dataBytes = 1024;

const _IOC_READ = 2;
const _IOC_WRITE = 1;
/** `_IOC` of Linux asm-generic/ioctl.h: the size of the structure is part of the number. */
function ioctlNumber(direction: number, number: number, size: number): number {
  return (direction * 2 ** 30 + size * 2 ** 16 + "i".charCodeAt(0) * 2 ** 8 + number) >>> 0;
}

export const IPMICTL_SEND_COMMAND = ioctlNumber(_IOC_READ, 13, request.bytes);
export const IPMICTL_RECEIVE_MSG_TRUNC = ioctlNumber(_IOC_READ | _IOC_WRITE, 11, received.bytes);

/** `struct pollfd`: fd, events, revents. */
const pollfd = { bytes: 8, fd: 0, events: 4 };
const POLLIN = 1;

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/**
 * Opens a device node.
 * @throws DeviceError, or Error if the C library cannot be used here
 */
export function openKernelDevice(path: string, libc: Libc = loadLibc()): IpmiDevice {
  const { result, errno } = libc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (result < 0) throw new DeviceError(`open ${path}`, errno);
  return new KernelDevice(path, libc, result);
}

class KernelDevice implements IpmiDevice {
  readonly path: string;
  readonly #libc: Libc;
  #fd: number;
  // Each has an ArrayBuffer of its own: V8 keeps small typed arrays in its heap, where they move.
  readonly #request = block(request.bytes);
  readonly #requestAddress = block(systemInterfaceAddress.bytes);
  readonly #requestData = block(dataBytes);
  readonly #received = block(received.bytes);
  readonly #receivedAddress = block(anyAddressBytes);
  readonly #receivedData = block(dataBytes);
  readonly #pollfd = block(pollfd.bytes);

  constructor(path: string, libc: Libc, fd: number) {
    this.path = path;
    this.#libc = libc;
    this.#fd = fd;
    const poll = view(this.#pollfd);
    poll.setInt32(pollfd.fd, fd, true);
    poll.setInt16(pollfd.events, POLLIN, true);
  }

  send(id: number, message: Message): void {
    if (message.data.length > dataBytes) throw new DeviceError(`send to ${this.path}`, Errno.EMSGSIZE);
    const address = view(this.#requestAddress);
    address.setInt32(0, systemInterfaceAddress.type, true);
    address.setInt16(4, systemInterfaceAddress.channel, true);
    address.setUint8(6, message.lun);
    this.#requestData.set(message.data);
    const call = view(this.#request);
    call.setBigUint64(request.address, this.#libc.addressOf(this.#requestAddress), true);
    call.setUint32(request.addressLength, systemInterfaceAddress.bytes, true);
    call.setBigInt64(request.id, BigInt(id), true);
    call.setUint8(request.netFn, message.netFn);
    call.setUint8(request.cmd, message.cmd);
    call.setUint16(request.dataLength, message.data.length, true);
    call.setBigUint64(request.data, this.#libc.addressOf(this.#requestData), true);
    try {
      for (;;) {
        const { result, errno } = this.#libc.ioctl(this.#fd, IPMICTL_SEND_COMMAND, this.#request);
        if (result >= 0) return;
        if (errno !== Errno.EINTR) throw new DeviceError(`send to ${this.path}`, errno);
      }
    } finally {
      // It may have been a password.
      this.#requestData.fill(0, 0, message.data.length);
    }
  }

  receive(): DeviceReply | undefined {
    const call = view(this.#received);
    call.setBigUint64(received.address, this.#libc.addressOf(this.#receivedAddress), true);
    call.setUint32(received.addressLength, anyAddressBytes, true);
    call.setUint16(received.dataLength, dataBytes, true);
    call.setBigUint64(received.data, this.#libc.addressOf(this.#receivedData), true);
    const { result, errno } = this.#libc.ioctl(this.#fd, IPMICTL_RECEIVE_MSG_TRUNC, this.#received);
    if (result < 0) {
      if (errno === Errno.EAGAIN || errno === Errno.EINTR) return undefined;
      throw new DeviceError(`receive from ${this.path}`, errno);
    }
    if (call.getInt32(received.kind, true) !== responseKind) return undefined;
    return {
      id: Number(call.getBigInt64(received.id, true)),
      netFn: call.getUint8(received.netFn),
      cmd: call.getUint8(received.cmd),
      data: this.#receivedData.slice(0, call.getUint16(received.dataLength, true)),
    };
  }

  wait(limitMs: number): void {
    // Whatever it answers, the next receive tells more.
    this.#libc.poll(this.#pollfd, limitMs);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#libc.close(this.#fd);
    this.#fd = -1;
  }
}

function block(size: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size));
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
