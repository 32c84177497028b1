import { Agent as PlainAgent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import { ConfigError } from "./config-error.ts";
import { withoutCredentials } from "./document-location.ts";

/** How a document is fetched by a proxy: http:// by a request to the proxy, https:// by CONNECT. RFC 9110 §7.6, §9.3.6. */
export interface ProxyHop {
  readonly agent: PlainAgent;
  /** Which hop an error is about. */
  readonly explain: (error: Error) => Error;
  /** Who sent a status: a proxy answers in its own name, too. */
  readonly whoAnswers: (status: number) => string;
}

/** `proxy` may hold user and password, which no text shows. `target` is the document's URL. */
export function proxyHop(proxy: string, target: URL): ProxyHop {
  const shown = withoutCredentials(proxy);
  const isTunnel = target.protocol === "https:";
  const proxyEnv = isTunnel ? { HTTPS_PROXY: proxy } : { HTTP_PROXY: proxy };
  return {
    agent: isTunnel ? new SecureAgent({ proxyEnv }) : new PlainAgent({ proxyEnv }),
    explain(error) {
      const { code = "", syscall = "" } = error as NodeJS.ErrnoException;
      if (code === "ERR_PROXY_TUNNEL") {
        const status = /HTTP\/\d\.\d (\d{3})/.exec(error.message)?.[1];
        const text = `the proxy ${shown} opens no way to ${target.host}${status === undefined ? "" : `: it answers ${status}`}`;
        // What another try will not change.
        if (status === "407") return new ConfigError("proxy", "proxy", `${text}; it wants a user and a password`);
        return status?.startsWith("4") ? new ConfigError("proxy", "proxy", text) : new Error(text, { cause: error });
      }
      if (["connect", "getaddrinfo"].includes(syscall) || code === "ERR_PROXY_INVALID_CONFIG") {
        return new Error(`the proxy ${shown} is not reached: ${code}`, { cause: error });
      }
      return new Error(`by the proxy ${shown}: ${error.message}`, { cause: error });
    },
    whoAnswers: (status) => {
      if (isTunnel) return "the server";
      return status === 407 ? `the proxy ${shown}` : `the server, or the proxy ${shown} before it,`;
    },
  };
}
