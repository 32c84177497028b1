import { randomBytes } from "node:crypto";
import { AddressSource, BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Inventory, Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { lanFace } from "../simulator/bmc-faces.ts";
import type { LanServer } from "../simulator/lan-server.ts";
import { spec } from "../simulator/profiles.ts";
import { createBmc } from "../simulator/simulated-bmc.ts";

const channel = 1;

/** One machine of the fleet, with an account of its own: what a server with two sockets tells of itself. */
export class FleetMachine {
  readonly uuid: string;
  readonly mac: string;
  readonly slot = 3;
  readonly channel = channel;
  readonly userName: string;
  readonly password: string;
  readonly #number: number;

  /** @param number from 0, below 2^24 */
  constructor(number: number) {
    const hex = number.toString(16).padStart(6, "0");
    this.#number = number;
    this.uuid = `4c4c4544-0042-3510-8052-525400${hex}`;
    this.mac = `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
    this.userName = `rivet${hex}${randomBytes(2).toString("hex")}`;
    this.password = `Aa0-${randomBytes(6).toString("hex")}`;
  }

  get machine(): Machine {
    const serialNumber = `CN${this.#serial}`;
    return Machine.fromPartial({
      uuid: this.uuid,
      bios: { vendor: "American Megatrends Inc.", version: "3.4", date: "10/30/2023" },
      system: {
        manufacturer: "Supermicro",
        productName: "SYS-1029P-WTR",
        version: "0123456789",
        serialNumber: `S${serialNumber}`,
        skuNumber: "091715D9",
        family: "SMC X11",
      },
      board: { manufacturer: "Supermicro", productName: "X11DDW-NT", version: "1.10", serialNumber },
      chassis: { manufacturer: "Supermicro", version: "0123456789", serialNumber: `C${serialNumber}` },
      smbiosVersion: "3.2.1",
    });
  }

  /** @param port where its BMC listens on 127.0.0.1; undefined: it has an address at which nobody is */
  facts(port: number | undefined): BmcFacts {
    const { mac } = this;
    const ipv4Address =
      port === undefined ? `10.${[16, 8, 0].map((bits) => (this.#number >> bits) & 0xff).join(".")}` : "127.0.0.1";
    return BmcFacts.fromPartial({
      mac,
      channel,
      ipv4Address,
      ipv4Source: AddressSource.ADDRESS_SOURCE_DHCP,
      ipv4Mask: "255.0.0.0",
      ipv4Gateway: "10.0.0.1",
      rmcpPort: port ?? 623,
      manufacturerId: 10876,
      productId: 2327,
      firmwareVersion: "1.73",
      ipmiVersion: "2.0",
      fru: {
        chassisPartNumber: "CSE-116TS-R706WBP5-N10",
        chassisSerial: `C116TAK${this.#serial}`,
        boardManufacturer: "Supermicro",
        boardProductName: "X11DDW-NT",
        boardSerial: `CN${this.#serial}`,
        productManufacturer: "Supermicro",
        productName: "SYS-1029P-WTR",
        productSerial: `SCN${this.#serial}`,
      },
      channels: [{ channel, mac, ipv4Address, remark: "elected: it has a MAC and an IPv4 address" }],
      transport: "openipmi:/dev/ipmi0",
      commandLatencies: {
        buckets: [1, 3, 10, 30, 100, 300, 1_000, 0].map((upToMs, i) => ({ upToMs, count: (i * 7) % 11 })),
        longestMs: 312,
      },
    });
  }

  get inventory(): Inventory {
    const [a, b] = [(this.#number >> 8) & 0xff, this.#number & 0xff].map((byte) => byte.toString(16).padStart(2, "0"));
    return Inventory.fromPartial({
      processors: [0, 1].map(() => ({
        vendor: "GenuineIntel",
        model: "Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz",
        cores: 16,
        threads: 32,
      })),
      memoryBytes: 405_000_000_000n,
      disks: [0, 1, 2, 3].map((n) => ({
        name: `nvme${n}n1`,
        model: "SAMSUNG MZQL2960HCJR-00A07",
        serialNumber: `S64FNE0R${this.#serial}${n}`,
        sizeBytes: 960_197_124_096n,
      })),
      networkInterfaces: [0, 1, 2, 3].map((n) => ({
        name: `eth${n}`,
        mac: `ac:1f:6b:${a}:${b}:0${n}`,
        driver: "i40e",
        speedMbps: n < 2 ? 10_000 : 0,
        link: n < 2,
      })),
    });
  }

  /** The network face of its BMC, which has the account. */
  lan(): LanServer {
    const { slot, userName, password, mac } = this;
    const users = [{ id: slot, name: userName, password, privilege: 4 }];
    const bmc = createBmc(spec, { users, lans: [{ channel, mac, ipv4Address: "127.0.0.1" }], fru: "none" });
    return lanFace(bmc);
  }

  get #serial(): string {
    return String(this.#number).padStart(8, "0");
  }
}
