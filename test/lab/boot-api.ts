import { dirname, join } from "node:path";
import { artifacts } from "./artifacts.ts";
import { type Child, startChild, tailOf } from "./child.ts";
import { until } from "./deadline.ts";
import { freeTcpPort, tcpPortListens } from "./ports.ts";
import { hostAsSeenByVm } from "./qemu.ts";
import type { RunningService } from "./service.ts";

/** The real boot server, beside a service. */
export interface RunningBootApi extends AsyncDisposable {
  /** For programs on this machine. */
  readonly url: string;
  readonly urlSeenByVm: string;
  readonly logFile: string;
  readonly child: Child;
}

export interface BootApiOptions {
  /** For its log. */
  readonly directory: string;
  readonly service: RunningService;
  /** Directory with vmlinuz, initramfs.img and maybe metal-rivet.efi; those of the lab by default. */
  readonly images?: string;
  /** --allow. */
  readonly allow: string;
  /** More for the kernel command line. */
  readonly words?: string;
  readonly extraArgs?: readonly string[];
}

/** To the serial port, in a form that tests read. */
const words = "console=ttyS0 quiet panic=5 rivet.log=json";

/** @throws Error with the end of its log if it ends; DeadlineError if it does not listen within 20 s */
export async function startBootApi(options: BootApiOptions): Promise<RunningBootApi> {
  const { service, directory, allow } = options;
  const port = await freeTcpPort();
  const logFile = join(directory, "boot-api.log");
  const urlSeenByVm = `http://${hostAsSeenByVm}:${port}`;
  const child = await startChild({
    command: artifacts.bmcService,
    args: [
      ...["boot-api", "--listen", `127.0.0.1:${port}`, "--url", urlSeenByVm, "--allow", allow],
      ...["--cmdline", options.words === undefined ? words : `${words} ${options.words}`],
      ...["--service", service.address, "--service-for-machines", service.addressSeenByVm],
      ...["--pki", service.pkiDirectory, "--images", options.images ?? dirname(artifacts.kernel)],
      ...(options.extraArgs ?? []),
    ],
    logFile,
  });
  try {
    await until(
      `bmc-service boot-api to listen (log: ${logFile})`,
      20_000,
      () => {
        if (!child.running) throw new Error(`boot-api ended at once; its log ends with:\n${tailOf(logFile)}`);
        return tcpPortListens(port);
      },
      { everyMs: 40 },
    );
  } catch (error) {
    await child.kill();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    urlSeenByVm,
    logFile,
    child,
    async [Symbol.asyncDispose]() {
      await child.stop();
    },
  };
}
