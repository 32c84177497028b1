import { getFruInventoryAreaInfo, readFruData } from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import type { SimulatedBmc } from "../simulated-bmc.ts";
import { type Entry, on, refuse, refuseIf } from "./handler.ts";

/** FRU 0 and no other. IPMI 2.0 §34.1, §34.2. */
export const fruCommands: readonly Entry[] = [
  on(getFruInventoryAreaInfo, (bmc, { fruDeviceId }) => {
    const areaSizeBytes = image(bmc, fruDeviceId).length;
    return {
      areaSizeBytes: bmc.profile.fru.empty === true ? 0 : areaSizeBytes,
      access: { unit: bmc.profile.fru.unit },
    };
  }),

  on(readFruData, (bmc, { fruDeviceId, offset, count }) => {
    const fru = image(bmc, fruDeviceId);
    const { unit, mostBytes, tooMuch, pastEnd } = bmc.profile.fru;
    const unitBytes = unit === "words" ? 2 : 1;
    if (count * unitBytes > mostBytes) refuse(tooMuch);
    if (offset * unitBytes >= fru.length) refuse(pastEnd);
    const data = fru.slice(offset * unitBytes, (offset + count) * unitBytes);
    return { countReturned: data.length / unitBytes, data };
  }),
];

function image(bmc: SimulatedBmc, fruDeviceId: number): Uint8Array {
  refuseIf(bmc.profile.fru.refused !== undefined, bmc.profile.fru.refused);
  return fruDeviceId === 0 && bmc.fru !== undefined ? bmc.fru : refuse(CompletionCode.notPresent);
}
