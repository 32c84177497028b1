import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Method } from "./channel.ts";

/** Requests with a secret are some hundred bytes. A writer that grows leaves what it had written behind. */
const room = new Uint8Array(16_384);

/**
 * Does a call whose request holds a secret, and wipes every copy of the request that can be reached: those of the encoder, of the
 * message and of the frame that grpc-js makes of it. What Node and OpenSSL copy on their way to the socket they keep.
 * @param encode of the type of the request, as ts-proto makes it
 * @param call is given the method to call; the request itself stays the caller's
 */
export async function withWipedRequest<Request, Response>(
  method: Method<Request, Response>,
  encode: (message: Request, writer: BinaryWriter) => BinaryWriter,
  call: (method: Method<Request, Response>) => Promise<Response>,
): Promise<Response> {
  const copies: Uint8Array[] = [];
  try {
    return await call({
      ...method,
      requestSerialize(request) {
        const writer = new BinaryWriter();
        writer.raw(room).finish();
        const bytes = Buffer.from(encode(request, writer).finish().buffer);
        writer.raw(room).finish();
        copies.push(bytes);
        return rememberingCopies(bytes, copies);
      },
    });
  } finally {
    for (const copy of copies) copy.fill(0);
  }
}

/** The frame is made by `copy`, in memory that nobody else tells of. */
function rememberingCopies(bytes: Buffer, copies: Uint8Array[]): Buffer {
  const copy: Buffer["copy"] = (target, targetStart, sourceStart, sourceEnd) => {
    copies.push(target);
    return Buffer.prototype.copy.call(bytes, target, targetStart, sourceStart, sourceEnd);
  };
  return Object.assign(bytes, { copy });
}
