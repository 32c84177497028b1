/** What a script asks the boot server for. */
export interface IpxeBoot {
  /** URL of the kernel. */
  readonly kernel: string;
  /** URLs of the ramdisks, in the order in which the kernel unpacks them. */
  readonly initrds: readonly string[];
  readonly commandLine: string;
  readonly message: string;
}

/** Seconds before the first repetition; each further one waits that much longer. */
const firstWaitSeconds = 5;
const longestWaitSeconds = 60;
/** After these the firmware's next way to boot is tried: some 10 minutes in all. */
const tries = 15;

/**
 * What DHCP sends every machine to: it tells who it is and asks for its own script. What fails stays on the screen, and is
 * tried again after a wait; in the end the firmware goes on with what it would boot next.
 * @param url of the second script, without a query
 */
export function firstIpxeScript(url: string): string {
  // netX is the interface that was opened last, which is the one that the machine boots from.
  return `#!ipxe
set try:int32 1
set wait:int32 ${firstWaitSeconds}
:ask
chain --replace ${url}?mac=\${netX/mac}&uuid=\${uuid} ||
echo
echo metal-rivet: no answer that lets this machine boot, try \${try} of ${tries}.
echo metal-rivet: MAC \${netX/mac}, UUID \${uuid}, asked ${url}
echo metal-rivet: "No such file" means that --allow of the boot server leaves it out; its log says why.
iseq \${try} ${tries} && goto give_up ||
echo metal-rivet: asked again in \${wait} s
sleep \${wait}
inc try
iseq \${wait} ${longestWaitSeconds} || inc wait ${firstWaitSeconds}
goto ask
:give_up
echo metal-rivet: given up; the firmware goes on with its next boot device in ${longestWaitSeconds} s
sleep ${longestWaitSeconds}
exit 1
`;
}

/**
 * Boots one machine. What fails leads back to the first script, after a wait.
 * @param again URL of the first script
 */
export function bootIpxeScript({ kernel, initrds, commandLine, message }: IpxeBoot, again: string): string {
  const names = initrds.map((_url, i) => `initrd${i}`);
  return `#!ipxe
echo ${message}
imgfree
kernel --name kernel ${kernel} ${names.map((name) => `initrd=${name} `).join("")}${commandLine} || goto failed
${initrds.map((url, i) => `initrd --name ${names[i]} ${url} || goto failed\n`).join("")}boot || goto failed
:failed
echo metal-rivet: the kernel or a ramdisk did not come or does not start; asked again in ${longestWaitSeconds} s
imgfree
sleep ${longestWaitSeconds}
chain --replace ${again} || exit 1
`;
}
