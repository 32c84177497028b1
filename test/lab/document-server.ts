import { createServer, type Server } from "node:http";
import { stringify } from "yaml";
import { hostAsSeenByVm } from "./qemu.ts";

/** Serves configuration documents to virtual machines, as a site's provisioning server would. */
export interface DocumentServer extends AsyncDisposable {
  /** For programs on this machine. */
  readonly url: string;
  /** Puts a document there, or another one in its place. */
  put(name: string, document: Readonly<Record<string, string | number | boolean>>): void;
  /** The URL under which a virtual machine finds a document. */
  urlOf(name: string): string;
  /** How often each document was asked for. */
  readonly requests: ReadonlyMap<string, number>;
}

/** @param sendDate false: it does not tell what time it is */
export async function startDocumentServer({ sendDate = true } = {}): Promise<DocumentServer> {
  const documents = new Map<string, string>();
  const requests = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const name = (request.url ?? "/").slice(1);
    requests.set(name, (requests.get(name) ?? 0) + 1);
    response.sendDate = sendDate;
    const document = documents.get(name);
    if (document === undefined) response.writeHead(404, { "content-type": "text/plain" }).end(`no document ${name}\n`);
    else response.writeHead(200, { "content-type": "application/yaml" }).end(document);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("document server: listens without a port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    put(name, document) {
      documents.set(name, stringify(document));
    },
    urlOf: (name) => `http://${hostAsSeenByVm}:${address.port}/${name}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
