import { Agent as PlainAgent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import { ConfigError } from "./config-error.ts";
import { withoutCredentials } from "./document-location.ts";

/** How a document is fetched by a proxy: http:// by a request to the proxy, https:// by CONNECT. RFC 9110 §7.6, §9.3.6. */
export interface ProxyHop {
  readonly agent: PlainAgent;
  /** Which hop an error is about. */
  readonly explain: (error: Error) => Error;
  /**
   * What the proxy has against its user, if it is that.
   * @param via the header of the answer: each proxy that hands one on says so there. RFC 9110 §7.6.3.
   */
  readonly refusal: (status: number, via: string | undefined) => ConfigError | undefined;
  /** Who sent a status: a proxy answers in its own name, too. */
  readonly whoAnswers: (via: string | undefined) => string;
}

const seeToPassword = "it wants a user and a password that it knows: rivet.proxy=http://USER:PASSWORD@HOST:PORT";

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
        if (status === "401" || status === "407") return new ConfigError("proxy", "proxy", `${text}; ${seeToPassword}`);
        return status?.startsWith("4") ? new ConfigError("proxy", "proxy", text) : new Error(text, { cause: error });
      }
      if (["connect", "getaddrinfo"].includes(syscall) || code === "ERR_PROXY_INVALID_CONFIG") {
        return new Error(`the proxy ${shown} is not reached: ${code}`, { cause: error });
      }
      return new Error(`by the proxy ${shown}: ${error.message}`, { cause: error });
    },
    refusal(status, via) {
      if (isTunnel) return undefined;
      if (status === 407) return new ConfigError("proxy", "proxy", `the proxy ${shown} answers 407; ${seeToPassword}`);
      // tinyproxy's answer to a wrong password
      if (status !== 401 || via !== undefined) return undefined;
      const who = `the proxy ${shown}, or the server if this proxy does not tell itself in its answers (Via),`;
      return new ConfigError("proxy", "proxy", `${who} answers 401; ${seeToPassword}`);
    },
    whoAnswers(via) {
      if (isTunnel) return "the server";
      return via === undefined
        ? `the server, or the proxy ${shown} before it,`
        : `the server behind the proxy ${shown}`;
    },
  };
}
