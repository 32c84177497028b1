import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Outcome } from "../../agent/outcome.ts";
import type { StepName } from "../../agent/step.ts";
import type { Transport } from "../../ipmi/transport.ts";
import type { AgentTask, Answered, Asked } from "./agent-program.ts";
import type { Pass } from "./service-client.ts";

const program = join(import.meta.dirname, "agent-program.ts");

/** What the agent's process has around it. */
export interface Around {
  readonly pass: Pass;
  readonly transport: Transport;
  readonly onStep: (step: StepName) => void;
  /** SIGKILL comes when it is aborted. */
  readonly death: AbortSignal;
}

/** Runs the agent in a process of its own, to its end or its death. */
export async function runInProcess(
  task: AgentTask,
  { pass, transport, onStep, death }: Around,
): Promise<Outcome | Error> {
  const child = fork(program, [], {
    execPath: process.execPath,
    detached: true,
    execArgv: ["--disable-warning=ExperimentalWarning"],
    serialization: "advanced",
  });
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  death.addEventListener("abort", kill, { once: true });
  let ended: Outcome | Error = new Error("the agent was killed");
  const answer = async ({ id, question }: Asked): Promise<Answered> => {
    switch (question.kind) {
      case "pass":
        await pass(question.when, question.what, question.name);
        return { id };
      case "started":
        onStep(question.step as StepName);
        return { id };
      case "exchange":
        return { id, reply: await transport.exchange(question.message, death) };
      case "ended":
        ended = "error" in question.outcome ? new Error(question.outcome.error) : question.outcome;
        return { id };
      default:
        return question satisfies never;
    }
  };
  // Who is dead gets no answer; that it died in this moment is no failure either.
  const send = (message: AgentTask | Answered) => child.connected && child.send(message, () => undefined);
  child.on("message", (asked: Asked) => {
    answer(asked).then(send, () => undefined);
  });
  send(task);
  await exited;
  death.removeEventListener("abort", kill);
  return ended;
}
