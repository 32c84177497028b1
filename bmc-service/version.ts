declare const METAL_RIVET_VERSION: string | undefined;

/** Version of this program: the build puts it in; from the sources it is a development version. */
export const version = typeof METAL_RIVET_VERSION === "string" ? METAL_RIVET_VERSION : "0.1.0-dev";
