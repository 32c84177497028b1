import { createServer } from "node:http";
import { hostAsSeenByVm } from "./qemu.ts";

/** What the API of a boot server answers. */
export interface BootSpec {
  readonly kernel: string;
  readonly initrd?: readonly string[];
  readonly cmdline?: string;
  readonly message?: string;
}

/** Stands where pixiecore stands: between machines and the API of a boot server. */
export interface Pixiecore extends AsyncDisposable {
  /** URL of the script for the machine that asks, with iPXE's own variables in it. */
  readonly script: string;
  /** What it has told machines to boot, the newest last. */
  readonly told: readonly BootSpec[];
  /** From now on every machine is told this instead of what the API says. */
  replay(spec: BootSpec): void;
}

/**
 * What pixiecore's API mode does once its own iPXE runs: it asks the API, writes a script out of the answer, and fetches kernel
 * and ramdisks itself. Its DHCP is QEMU's; what metal-stack's pixie asks there is asked before the script. Source: pixiecore/booters.go, http.go; held against what a pixiecore that was built
 * from it has written.
 */
export async function startPixiecore(api: string): Promise<Pixiecore> {
  const told: BootSpec[] = [];
  let replayed: BootSpec | undefined;
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? "/", `http://${request.headers.host}`);
    const refuse = (status: number, text: string) => response.writeHead(status).end(`${text}\n`);
    const serve = async () => {
      const mac = asked.searchParams.get("mac") ?? "";
      switch (asked.pathname) {
        case "/_/ipxe": {
          const ask = (path: string) => fetch(`${api}/v1/${path}`, { signal: AbortSignal.timeout(5_000) });
          // Metal-stack's pixie does so for its DHCP offer, and decodes the answer; the original does not.
          const offer = await ask(`dhcp/${asked.searchParams.get("uuid")}`);
          if (!offer.ok || typeof (await offer.json()) !== "object") return refuse(500, "no DHCP offer");
          const answer = await ask(`boot/${mac}`);
          if (!answer.ok) return refuse(500, "couldn't get a bootspec");
          const spec = replayed ?? ((await answer.json()) as BootSpec);
          told.push(spec);
          return response.writeHead(200, { "content-type": "text/plain" }).end(scriptOf(spec, asked.host, mac));
        }
        case "/_/file": {
          const url = Buffer.from(asked.searchParams.get("name") ?? "", "base64url").toString();
          const file = await fetch(url);
          const body = Buffer.from(await file.arrayBuffer());
          return response.writeHead(file.ok ? 200 : 500, { "content-length": body.length }).end(body);
        }
        case "/_/booting":
          return response.end("# Booting");
        default:
          return refuse(404, "404 page not found");
      }
    };
    serve().catch((error: unknown) => refuse(500, String(error)));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("pixiecore: listens without a port");
  return {
    script: `http://${hostAsSeenByVm}:${address.port}/_/ipxe?arch=0&mac=\${net0/mac}&uuid=\${uuid}`,
    told,
    replay(spec) {
      replayed = spec;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function scriptOf({ kernel, initrd = [], cmdline = "" }: BootSpec, host: string, mac: string): string {
  const file = (url: string, type: string) =>
    `http://${host}/_/file?name=${Buffer.from(url).toString("base64url")}&type=${type}&mac=${encodeURIComponent(mac)}`;
  return [
    "#!ipxe",
    `kernel --name kernel ${file(kernel, "kernel")}`,
    ...initrd.map((url, i) => `initrd --name initrd${i} ${file(url, "initrd")}`),
    `imgfetch --name ready http://${host}/_/booting?mac=${encodeURIComponent(mac)} ||`,
    "imgfree ready ||",
    `boot kernel ${initrd.map((_url, i) => `initrd=initrd${i} `).join("")}${cmdline}`,
    "",
  ].join("\n");
}
