declare const METAL_RIVET_VERSION: string | undefined;

/** Set by build.mjs; running from the sources is a development version. */
export const version: string = typeof METAL_RIVET_VERSION === "string" ? METAL_RIVET_VERSION : "0.1.0-dev";
