import { getSdr, getSdrRepositoryInfo, reserveSdrRepository } from "../../../ipmi/commands/index.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { type Entry, on, refuse } from "./handler.ts";

const version = 0x51;
const name = Buffer.from("BMC", "latin1");

/**
 * The BMC itself, with chassis and FRU 0: ipmitool and FreeIPMI look here for FRUs before they read one.
 * Management Controller Device Locator, IPMI 2.0 §43.9.
 */
const controller = (() => {
  const body = [0x20, 0, 0, 0x88, 0, 0, 0, 0x06, 1, 0, 0xc0 | name.length, ...name];
  return Uint8Array.from([1, 0, version, 0x12, body.length, ...body]);
})();
const onlyRecord = 1;
const first = 0;
const last = 0xffff;
const wholeRecord = 0xff;

/** Sensor data records. IPMI 2.0 §33. */
export const sdrCommands: readonly Entry[] = [
  on(getSdrRepositoryInfo, () => ({
    version,
    recordCount: 1,
    freeBytes: 0,
    lastAddition: 0,
    lastErase: 0,
    operations: { overflow: false, delete: false, partialAdd: false, reserve: true, allocationInfo: false },
  })),

  on(reserveSdrRepository, () => ({ reservationId: 1 })),

  on(getSdr, (_bmc, { recordId, offset, count }) => {
    if (![first, onlyRecord, last].includes(recordId)) refuse(CompletionCode.notPresent);
    if (offset >= controller.length) refuse(CompletionCode.parameterOutOfRange);
    const end = count === wholeRecord ? controller.length : offset + count;
    return { nextRecordId: last, data: controller.slice(offset, end) };
  }),
];
