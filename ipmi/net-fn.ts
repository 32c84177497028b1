/** Network functions of requests; the reply has the next (odd) number. IPMI 2.0 §5.1, table 5-1. */
export const NetFn = {
  chassis: 0x00,
  bridge: 0x02,
  sensorEvent: 0x04,
  app: 0x06,
  firmware: 0x08,
  storage: 0x0a,
  /** LAN, serial and SOL configuration. */
  transport: 0x0c,
  /** Commands defined by another body, told by the first data byte (DCMI: DCh). */
  groupExtension: 0x2c,
} as const;
