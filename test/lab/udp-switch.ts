import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

/**
 * A UDP address whose other side can be exchanged: to the caller it looks as if another BMC had taken over an address, or as if
 * none answered there any more.
 */
export interface UdpSwitch extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Sends what comes from now on to that port of 127.0.0.1; undefined: nowhere. */
  target: number | undefined;
}

export async function openUdpSwitch(target: number): Promise<UdpSwitch> {
  const front = createSocket("udp4");
  /** One socket for each caller and target, so that answers find their way back. */
  const backs = new Map<string, Socket>();
  let current: number | undefined = target;
  front.on("message", (data: Buffer, from: RemoteInfo) => {
    if (current === undefined) return;
    const to = current;
    const key = `${from.port}>${to}`;
    let back = backs.get(key);
    if (back === undefined) {
      back = createSocket("udp4");
      back.on("message", (answer: Buffer) => front.send(answer, from.port, from.address));
      back.on("error", () => undefined);
      backs.set(key, back);
    }
    back.send(data, to, "127.0.0.1");
  });
  await new Promise<void>((resolve, reject) => {
    front.once("error", reject);
    front.bind(0, "127.0.0.1", resolve);
  });
  return {
    port: front.address().port,
    get target() {
      return current;
    },
    set target(value) {
      current = value;
    },
    async [Symbol.asyncDispose]() {
      for (const back of backs.values()) back.close();
      await new Promise<void>((resolve) => front.close(resolve));
    },
  };
}
