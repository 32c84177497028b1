import { ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder, status } from "@grpc/grpc-js";

/** Who is told of calls; callers are "10.0.0.7:50022". */
export interface RequestWatcher {
  readonly called: (peer: string) => void;
  /** @param path of the call whose request did not come */
  readonly refused: (path: string, peer: string) => void;
  /** Its request did not come in time: the connection has to be ended. */
  readonly late: (peer: string) => void;
}

/**
 * Watches that the request of each call comes: grpc-js refuses what is too large or cannot be read without a word to anybody else,
 * and would wait for the rest of a request for ever.
 * @param limitMs how long a request may take to come
 */
export function watchedRequests(limitMs: number, { called, refused, late }: RequestWatcher): ServerInterceptor {
  return ({ path }, call) => {
    const peer = call.getPeer();
    called(peer);
    let timer: NodeJS.Timeout | undefined;
    let hasCome = false;
    const watched: ServerInterceptingCall = new ServerInterceptingCall(call, {
      start(next) {
        timer = setTimeout(() => {
          const details = `the request did not come within ${limitMs / 1_000} s`;
          watched.sendStatus({ code: status.DEADLINE_EXCEEDED, details, metadata: null });
          // The stream of a caller who never ends it stays open, whatever it is told.
          late(peer);
        }, limitMs).unref();
        next(
          new ServerListenerBuilder()
            .withOnReceiveMessage((message, pass) => {
              hasCome = true;
              clearTimeout(timer);
              pass(message);
            })
            .withOnCancel(() => {
              clearTimeout(timer);
              if (!hasCome) refused(path, peer);
            })
            .build(),
        );
      },
    });
    return watched;
  };
}
