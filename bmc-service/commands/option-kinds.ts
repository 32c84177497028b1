import { InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../duration.ts";
import { parseEndpoint } from "../endpoint.ts";

/** HOST:PORT; port 0 is any free one. */
export function endpointOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const endpoint = parseEndpoint(text);
    if (endpoint === undefined) throw new InvalidArgumentError("give HOST:PORT, an IPv6 address in brackets");
    return endpoint;
  });
}

/** Of at least a millisecond; read as milliseconds. */
export function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const ms = parseDuration(text);
    if (ms === 0) throw new InvalidArgumentError("0 is not allowed: give a time above 0, as 90s");
    if (ms === undefined) throw new InvalidArgumentError("give a number with unit: 90s, 15m, 12h, 30d");
    return ms;
  });
}

/** A whole number from 1. */
export function countOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (number < 1) throw new InvalidArgumentError("give a number from 1 to 999999999");
    return number;
  });
}
