import { createSocket } from "node:dgram";

/** Fields of an answer that a test may want otherwise. */
export interface ReplyFields {
  readonly nonce: Uint8Array;
  /** From 1900 on. */
  readonly seconds: number;
  readonly fraction?: number;
  readonly stratum?: number;
  /** Leap indicator, version and mode. */
  readonly first?: number;
  /** Four letters. */
  readonly reference?: string;
}

/** An answer of a server. RFC 4330 §4, figure 1. */
export function sntpReply({
  nonce,
  seconds,
  fraction = 0,
  stratum = 2,
  first = 0x24,
  reference = "",
}: ReplyFields): Buffer {
  const bytes = Buffer.alloc(48);
  bytes[0] = first;
  bytes[1] = stratum;
  bytes.write(reference, 12, "latin1");
  bytes.set(nonce, 24);
  bytes.writeUInt32BE(seconds, 40);
  bytes.writeUInt32BE(fraction, 44);
  return bytes;
}

/** A server on the loopback that sends what `answers` makes of a question's number; "HOST:PORT" is its name. */
export async function startSntpServer(
  answers: (nonce: Buffer) => readonly Buffer[],
): Promise<{ readonly server: string } & Disposable> {
  const socket = createSocket("udp4");
  socket.on("message", (question, from) => {
    for (const answer of answers(question.subarray(40, 48))) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { server: `127.0.0.1:${socket.address().port}`, [Symbol.dispose]: () => void socket.close() };
}
