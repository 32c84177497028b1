import { bytes } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get Device GUID: the management controller's own GUID, not the machine's.
 * IPMI 2.0 §20.8. The byte order is not to be trusted: see guid.ts. ipmi_sim answers C1h.
 */
export const getDeviceGuid = command({
  name: "Get Device GUID",
  netFn: NetFn.app,
  cmd: 0x08,
  repeatable: true,
  request: {},
  response: { guid: bytes(16) },
});
