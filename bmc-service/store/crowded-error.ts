/** Whoever asks has stored as much as one may. */
export class CrowdedError extends Error {
  override readonly name = "CrowdedError";
  readonly code = "crowded";
}
