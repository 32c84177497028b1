import type { Socket } from "node:net";
import type { Attack } from "../attack.ts";
import type { Limits } from "./limits.ts";

/** Told of what looks like an attack, with who and why. */
export type Suspect = (attack: Attack, fields: object, text: string) => void;

/** The open connections: not more than may be, and which of them have called. */
export class Connections {
  readonly #limits: Pick<Limits, "connections" | "connectionsPerAddress">;
  readonly #suspect: Suspect;
  /** By peer as grpc-js writes it: "10.0.0.7:50022". */
  readonly #open = new Map<string, Socket>();
  readonly #perAddress = new Map<string, number>();
  /** Peers that have called. */
  readonly #called = new Set<string>();

  constructor(limits: Pick<Limits, "connections" | "connectionsPerAddress">, suspect: Suspect) {
    this.#limits = limits;
    this.#suspect = suspect;
  }

  /** Counts a new connection, and ends it if it is one too many. */
  add(socket: Socket): void {
    const { remoteAddress: from = "", remotePort: port = 0 } = socket;
    const peer = `${from}:${port}`;
    const already = this.#perAddress.get(from) ?? 0;
    const { connections, connectionsPerAddress } = this.#limits;
    if (this.#open.size >= connections || already >= connectionsPerAddress) {
      this.#suspect(
        "flood",
        { from, fromThere: already, all: this.#open.size },
        "connection refused: there are too many",
      );
      socket.destroy();
      return;
    }
    this.#open.set(peer, socket);
    this.#perAddress.set(from, already + 1);
    socket.once("close", () => {
      this.#open.delete(peer);
      const left = (this.#perAddress.get(from) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(from);
      else this.#perAddress.set(from, left);
      if (this.#called.delete(peer)) return;
      this.#suspect("connection without call", { from, bytes: socket.bytesRead }, "connection ended without a call");
    });
  }

  called(peer: string): void {
    this.#called.add(peer);
  }

  /** Ends one when what is to be said there is said. */
  end(peer: string): void {
    this.#open.get(peer)?.destroySoon();
  }

  /** Ends all. */
  destroy(): void {
    for (const socket of this.#open.values()) socket.destroy();
  }
}
