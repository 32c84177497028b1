/** The service is going down: what was asked is not done, and may be asked again of the next one. */
export class StoppingError extends Error {
  override readonly name = "StoppingError";
  readonly code = "stopping";

  constructor() {
    super("the service is stopping; try again in a moment");
  }
}
