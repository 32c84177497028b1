import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";

/** Which bytes go through. */
export type Passage = "both ways" | "no requests" | "no replies";

interface Pair {
  readonly agent: Socket;
  readonly service: Socket;
  /** Bytes were swallowed: the connection is beyond repair. */
  lossy: boolean;
}

/** The network between an agent and the service: a TCP port that can be cut, or made deaf in one direction. */
export class Relay implements AsyncDisposable {
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  #server: Server | undefined;
  #port = 0;
  #passage: Passage = "both ways";

  private constructor(target: number) {
    this.#target = target;
  }

  /** @param target TCP port of the service on 127.0.0.1 */
  static async open(target: number): Promise<Relay> {
    const relay = new Relay(target);
    await relay.up();
    return relay;
  }

  get port(): number {
    return this.#port;
  }

  /** Whoever knocks from now on is refused, and what is connected is cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut();
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  /** Lets connections in again, in both directions. */
  async up(): Promise<void> {
    this.pass("both ways");
    if (this.#server !== undefined) return;
    const server = createServer((agent) => this.#connect(agent));
    this.#server = server;
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  /** What does not pass is swallowed. Where something was swallowed, the connection is cut when everything passes again. */
  pass(passage: Passage): void {
    this.#passage = passage;
    if (passage === "both ways") for (const pair of this.#pairs) if (pair.lossy) destroy(pair);
  }

  /** Ends all connections, on both sides. */
  cut(): void {
    for (const pair of this.#pairs) destroy(pair);
  }

  /** The agent's machine is gone without a word: the service is told nothing. */
  forgetAgents(): void {
    for (const { agent, service } of this.#pairs) {
      agent.unpipe(service);
      agent.removeAllListeners("close");
      agent.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #connect(agent: Socket): void {
    const pair: Pair = { agent, service: dial(this.#target, "127.0.0.1"), lossy: false };
    this.#pairs.add(pair);
    const { service } = pair;
    const carry = (from: Socket, to: Socket, deafTo: Passage) => {
      from.setNoDelay(true);
      from.on("data", (data) => {
        if (this.#passage === deafTo) pair.lossy = true;
        else if (!pair.lossy) to.write(data);
      });
      from.on("error", () => undefined);
      from.on("close", () => {
        to.destroy();
        if (agent.destroyed && service.destroyed) this.#pairs.delete(pair);
      });
    };
    carry(agent, service, "no requests");
    carry(service, agent, "no replies");
  }
}

function destroy({ agent, service }: Pair): void {
  agent.destroy();
  service.destroy();
}
