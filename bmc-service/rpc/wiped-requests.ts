import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

/**
 * The service, with the bytes of each request wiped as soon as they are read: some hold a password or a token. What Node and OpenSSL
 * copy on their way from the socket they keep.
 */
export function withWipedBytes<S extends ServiceDefinition<UntypedServiceImplementation>>(service: S): S {
  return Object.fromEntries(Object.entries(service).map(([name, method]) => [name, wiping(method)])) as unknown as S;
}

function wiping(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  return {
    ...method,
    requestDeserialize(bytes) {
      try {
        return method.requestDeserialize(bytes);
      } finally {
        bytes.fill(0);
      }
    },
  };
}

/** Fields of requests that hold a secret, wherever they stand. */
const secretFields: ReadonlySet<string> = new Set(["password", "enrolmentToken"]);

/** Wipes what a request holds of secrets: at its end, also where it was refused before anybody looked at it. */
export function wipeSecrets(request: unknown): void {
  if (typeof request !== "object" || request === null || request instanceof Uint8Array) return;
  for (const [name, value] of Object.entries(request)) {
    if (!(value instanceof Uint8Array)) wipeSecrets(value);
    else if (secretFields.has(name)) value.fill(0);
  }
}
