/** The files on the stick: the program that UEFI starts, and those for people. */

/** Where UEFI looks on removable media. UEFI specification 2.10 §3.5.1.1. */
export const uefiFolder = "EFI/BOOT";
const documentName = "metal-rivet.yaml";
const reportsFolder = "reports";

/** All of them by path; a folder is undefined. Without a document of its own the stick gets the template. */
export function stickFiles(
  programPath: string,
  program: Buffer,
  document: Buffer | undefined,
): ReadonlyMap<string, Buffer | undefined> {
  return new Map([
    ["EFI", undefined],
    [uefiFolder, undefined],
    [programPath, program],
    [documentName, document ?? Buffer.from(documentTemplate)],
    ["README.txt", Buffer.from(readme)],
    [reportsFolder, undefined],
  ]);
}

/** The document as it stands on a stick that nobody has configured. Every key in it is a comment. */
export const documentTemplate = `# Configuration of metal-rivet on this stick. Take away the "#" in front of what you need, and fill it in.
# The keys are those of the table in metal-rivet's README. A mistake is shown on the machine's screen with line and column.

# Where the BMC service is.
#service: bmc.example.org:4443

# The certificate of the authority that signed the service's certificate (ca.pem of its PKI), indented like this.
#ca: |
#  -----BEGIN CERTIFICATE-----
#  ...
#  -----END CERTIFICATE-----

# An enrolment token: bmcctl token create --ttl 8h --uses 20
# Whoever holds this stick can use it. Make it for a short time.
#token: rvt_...

# The name of this place, for the screen and the reports.
#site: Rack 12, Hall B

# For sites without network: what bmc-service import-key prints. Reports are sealed to it, and kept in the folder reports.
#report_key: x25519:...

# After the run: wait, poweroff or reboot.
#then: wait
`;

/** For the technician who opens the stick on a laptop; with the line ends of every system's simplest editor. */
const readme = `metal-rivet: links a server to its BMC.

1. Open metal-rivet.yaml on this stick with a text editor, fill it in, save it.
   Nothing to fill in? Your operator has done it already.
2. Put the stick into the server, switch the server on, and choose the stick as
   boot device (often F11 or F12). UEFI and BIOS both work.
3. Read the screen. It says what happens, how it ended, and what to do next.
4. Switch the server off by the key P on the screen before you pull the stick.

The folder "reports" takes what was found where there is no network. Bring the
stick back to your operator: bmcctl import reports/*.json
`.replaceAll("\n", "\r\n");
