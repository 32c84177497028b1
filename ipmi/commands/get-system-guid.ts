import { bytes } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get System GUID: the machine's UUID as the BMC knows it.
 * IPMI 2.0 §22.14.
 *
 * BMCs answer in three byte orders, so compare with `sameGuid` of guid.ts. C1h or FFh when the board never had one
 * (OpenBMC); differs from the SMBIOS UUID on Lenovo ThinkServer.
 */
export const getSystemGuid = command({
  name: "Get System GUID",
  netFn: NetFn.app,
  cmd: 0x37,
  repeatable: true,
  request: {},
  response: { guid: bytes(16) },
});
