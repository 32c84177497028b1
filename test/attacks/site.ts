import { call } from "../../bmc-service/fixture/clients.ts";
import { type EnrollingAgent, factsOf, mac1, namesOf, uuid1 } from "../../bmc-service/fixture/enrolling.ts";
import { FakeBmc } from "../../bmc-service/fixture/fake-bmc.ts";
import { newSite, startTestService, type TestService } from "../../bmc-service/fixture/service.ts";
import { TokenMachine } from "../../bmc-service/fixture/token-machine.ts";
import type { ConnectBmc } from "../../bmc-service/reach/connect-bmc.ts";
import type { ServiceSettings } from "../../bmc-service/service.ts";

/** The account of the linked BMC. */
export const victim = { name: "rivetab12cd34ef", password: "Vi7-ctim_Pw9kX2m" };

/** A service with one linked BMC that somebody is going to attack. */
export interface AttackedSite extends AsyncDisposable {
  readonly service: TestService;
  readonly pki: string;
  readonly data: string;
  readonly bmc: FakeBmc;
  /** A machine that has no certificate yet. */
  machine(uuid: string): Promise<TokenMachine>;
  token(machineUuid?: string): Promise<{ readonly text: string; readonly id: string }>;
  /** The log lines that name an attack, since the last look. */
  attacks(): { readonly attack: string; readonly [field: string]: unknown }[];
  /** What an attack must not change, as one text. */
  state(): Promise<string>;
}

/** @param connect instead of the BMC that is linked at first, for what comes after */
export async function attackedSite(
  settings: Partial<ServiceSettings> = {},
  connect: ConnectBmc | undefined = undefined,
): Promise<AttackedSite> {
  await using made = new AsyncDisposableStack();
  const site = made.use(await newSite());
  const bmc = new FakeBmc(mac1);
  bmc.users.push({ slot: 3, ...victim });
  let isLinked = false;
  const service = made.use(
    await startTestService(
      site,
      (login) => (isLinked && connect !== undefined ? connect(login) : bmc.connect(login)),
      settings,
    ),
  );
  const machines = made.use(new DisposableStack());
  const machine = async (uuid: string) => machines.use(await TokenMachine.make(service.running.port, site.pki, uuid));
  const token = async (machineUuid = "") => {
    const { bmc: client } = service.operator;
    const made = await call(client, client.createToken, { machineUuid, ttlSeconds: 0, uses: 1 });
    return { text: made.text.toString(), id: made.token?.id ?? "" };
  };
  const first = await machine(uuid1);
  await first.beginWith((await token(uuid1)).text);
  const agent: EnrollingAgent = first.goOn();
  await agent.report(factsOf(mac1));
  await agent.confirm(await agent.escrow(mac1, victim.name, victim.password));
  const events = namesOf(await agent.handOff());
  if (events.at(-1) !== "handedOff") throw new Error(`the victim could not be linked: ${events}`);
  isLinked = true;
  let seen = 0;
  const all = made.move();
  return {
    service,
    pki: site.pki,
    data: site.data,
    bmc,
    machine,
    token,
    attacks() {
      const lines = service.log.slice(seen).map((line) => JSON.parse(line));
      seen = service.log.length;
      return lines.filter((line) => line.attack !== undefined);
    },
    async state() {
      const { bmc: client } = service.operator;
      const { bmcs } = await call(client, client.listBmcs, {});
      const row = bmcs.find(({ mac }) => mac === mac1);
      const { accounts } = await call(client, client.listAccounts, { mac: mac1, showSecrets: true });
      const { machineUuid, address, state, account } = row ?? {};
      return JSON.stringify({
        ...{ machineUuid, address, state: state, account: account?.id },
        accounts: accounts.map(({ userName, password, state }) => [userName, password, state]),
        onBmc: bmc.users,
        power: bmc.powerOn,
      });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
