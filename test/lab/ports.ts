import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/**
 * A TCP port on 127.0.0.1 that nothing listens on right now. It is not held: start what needs it at once.
 * @throws Error if the machine has none left
 */
export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("ports: a TCP server without a port");
  return address.port;
}

/**
 * The first address of 127.0.0.1 to 127.0.0.254 on which nothing listens on any of these TCP ports, and which is not among `taken`:
 * all of them are this machine's loopback. The ports are not held: start what needs them at once.
 * @throws Error if there is none
 */
export async function freeLoopbackAddress(ports: readonly number[], taken: readonly string[] = []): Promise<string> {
  for (let last = 1; last < 255; last += 1) {
    const address = `127.0.0.${last}`;
    if (taken.includes(address)) continue;
    const free = await Promise.all(ports.map((port) => canListen(address, port)));
    if (free.every(Boolean)) return address;
  }
  throw new Error(`ports: ${ports.join(" and ")} are in use on each of 127.0.0.1 to 127.0.0.254`);
}

async function canListen(address: string, port: number): Promise<boolean> {
  const server = createServer();
  const listening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, address, () => resolve(true));
  });
  if (listening) await new Promise((resolve) => server.close(resolve));
  return listening;
}

/**
 * A UDP port on 127.0.0.1 that nothing is bound to right now. It is not held: start what needs it at once.
 * @throws Error if the machine has none left
 */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/**
 * Whether something listens on that TCP port of 127.0.0.1, without connecting to it: ipmi_sim serves one client at a time and
 * would turn the next one away.
 */
export function tcpPortListens(port: number): boolean {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return local === address && state === "0A";
    });
}
