import { ExitCode } from "../../proto/exit-code.ts";
import type { RunEnd } from "../console.ts";
import type { State, Verdict } from "./model.ts";

type Words = Omit<Verdict, "detail">;

/**
 * How a run ended, in plain words. Errors are told by their names, which are literals of their classes: this file is a part
 * of its own in the executable, where a class is another one.
 */
export function verdictOf(ended: RunEnd): Verdict {
  const words = ended.error === undefined ? ofOutcome(ended) : ofError(ended.error, ended);
  const addsNothing = words.tone === "good" || words.why === ended.text;
  return { ...words, detail: addsNothing ? "" : ended.text };
}

const onceMore = "R tries again at once.";
const pressR = "Then press R.";

function ofOutcome({ outcome, exitCode, text }: RunEnd): Words {
  switch (outcome) {
    case "linked":
    case "recognised":
      return {
        word: "LINKED",
        tone: "good",
        why: outcome === "linked" ? "The service controls this server's BMC." : "It was linked before and still is.",
        next: "Nothing is left to do here.",
      };
    case "unverified":
      if (text.includes("on the stick")) {
        return {
          word: "ON STICK",
          tone: "good",
          why: "The account is made. The report is on the stick, because no service was reached.",
          next: "Press P, then bring the stick to your operator (bmcctl import).",
        };
      }
      return {
        word: "NOT VERIFIED",
        tone: "attention",
        why: "The account is made, but the service could not log in on the BMC from its side yet.",
        next: "See that the BMC's network port has a cable. The service goes on trying.",
      };
    case "unmanaged":
      return {
        word: "NO BMC",
        tone: "attention",
        why: "No BMC was found in this server. It is listed without one.",
        next: `If it has one, switch it on in the firmware setup (IPMI, KCS). ${pressR}`,
      };
    case "locked":
      return {
        word: "LOCKED",
        tone: "attention",
        why: "The BMC lets its own server make no accounts. What it tells was reported.",
        next: `Allow it in the BMC's settings (KCS, host interface), or tell your operator: the service needs a user name and password of this BMC. ${pressR}`,
      };
    case "no free slot":
      return {
        word: "NEEDS OPERATOR",
        tone: "attention",
        why: "All places for users on the BMC are taken.",
        next: `Delete one user on the BMC that nobody needs; I shows them. ${pressR}`,
      };
    case "failed":
      return ofFailedHandOff(exitCode);
    default:
      return { word: "FAILED", tone: "bad", why: text, next: nextOf(exitCode) };
  }
}

function ofFailedHandOff(exitCode: number): Words {
  if (exitCode === ExitCode.temporary) {
    return {
      word: "BMC UNREACHED",
      tone: "bad",
      why: "The service does not reach the BMC over the network.",
      next: `See that the BMC's network port has a cable and an address. ${onceMore}`,
    };
  }
  return {
    word: "NEEDS OPERATOR",
    tone: "bad",
    why: "The service reached a BMC, but it is another one, or it does not let the new account in.",
    next: "Show this screen to your operator.",
  };
}

function ofError(error: Error, ended: RunEnd): Words {
  const cause = error.name === "StepError" && error.cause instanceof Error ? error.cause : error;
  const { step = "" } = error as Error & { readonly step?: string };
  switch (cause.name) {
    case "NetworkError":
      return ofNetwork(cause.message);
    case "DocumentUnavailableError":
      return {
        word: "NO CONFIG",
        tone: "bad",
        why: "The configuration could not be fetched over the network.",
        next: `See whether the address after rivet.config= is right. ${onceMore}`,
      };
    case "ServiceError":
      return ofService(cause, step, ended.exitCode);
    case "NotReadyError":
      return {
        word: "BMC BOOTING",
        tone: "attention",
        why: "The BMC is there, but it does not answer well yet. It may be starting or updating itself.",
        next: `Wait a few minutes. ${onceMore} If it stays so, pull both power cables for 30 s.`,
      };
    case "BogusUuidError":
      return {
        word: "NEEDS OPERATOR",
        tone: "bad",
        why: "The firmware tells no UUID of this server's own, and none can be made from serial number and BMC.",
        next: `Set one with the vendor's tool (AMI: AMIDE /SU AUTO). ${pressR}`,
      };
    case "SmbiosUnavailableError":
      return {
        word: "NEEDS OPERATOR",
        tone: "bad",
        why: "The firmware shows no SMBIOS tables, so nobody can tell which server this is.",
        next: "Update the firmware of the board.",
      };
    case "ConfigError":
    case "UsageError":
      return ofConfiguration(cause);
    case "StickError":
      return ofStick(cause);
    case "StepTimeoutError":
    case "RunLimitError":
      return { word: "TOO SLOW", tone: "bad", why: "It took longer than it may.", next: onceMore };
    default:
      return { word: "FAILED", tone: "bad", why: "The run broke off.", next: nextOf(ended.exitCode) };
  }
}

function ofNetwork(message: string): Words {
  const [why, next] = message.includes("no DHCP answer")
    ? [
        "The cable is in, but nobody gives this server an address (no DHCP answer).",
        "Try another switch port, or ask your operator for the VLAN.",
      ]
    : message.includes("no Ethernet adapter")
      ? ["No network adapter was found.", "The driver may be missing; show this screen to your operator."]
      : hasNoLink(message)
        ? ["No network port has a link.", "Put a network cable in, or try another port or cable."]
        : [
            "The cable is in, but this server got no address.",
            "Try another switch port, or show this screen to your operator.",
          ];
  return { word: "NO NETWORK", tone: "bad", why, next: `${next} ${onceMore}` };
}

/** Of each adapter, as agent/init/network/bring-up.ts tells them. */
const hasNoLink = (message: string): boolean =>
  message
    .slice(message.indexOf(" s: ") + " s: ".length)
    .split("; ")
    .every((state) => state.endsWith("no link (cable, switch port)"));

function ofService(error: Error, step: string, exitCode: number): Words {
  const { status = "" } = error as Error & { readonly status?: string };
  const inBegin = step === "begin";
  switch (status) {
    case "unavailable":
    case "deadline":
      return {
        word: "NO SERVICE",
        tone: "bad",
        why: "The BMC service does not answer.",
        next: `See whether its address is right (service: in metal-rivet.yaml) and not blocked. ${onceMore}`,
      };
    case "unauthenticated":
      return {
        word: "NEEDS OPERATOR",
        tone: "bad",
        why: inBegin
          ? "The enrolment token is not good: used, too old, or for another server."
          : "The service has forgotten this run.",
        next: inBegin ? `Get a new token from your operator (token: in metal-rivet.yaml). ${pressR}` : onceMore,
      };
    case "refused":
      return /certificate|CA\b/.test(error.message)
        ? {
            word: "NEEDS OPERATOR",
            tone: "bad",
            why: "This server and the service do not trust each other's certificates.",
            next: `Get the right CA from your operator (ca: in metal-rivet.yaml). ${pressR}`,
          }
        : {
            word: "NEEDS OPERATOR",
            tone: "bad",
            why: "The service refuses this server.",
            next: "Show this screen to your operator.",
          };
    case "conflict":
      if (inBegin && exitCode === ExitCode.temporary) {
        return {
          word: "WAITING",
          tone: "attention",
          why: "Another enrolment of this server is under way.",
          next: onceMore,
        };
      }
      break;
    case "protocol":
    case "unimplemented":
      return {
        word: "NO SERVICE",
        tone: "bad",
        why: "What answers there is no BMC service, or too old a one.",
        next: `See whether address and port are right (service: in metal-rivet.yaml). ${pressR}`,
      };
    case "configuration":
    case "invalid":
      return {
        word: "BAD CONFIG",
        tone: "bad",
        why: "Address or certificates in the configuration cannot be used.",
        next: `Correct them on a laptop. ${pressR}`,
      };
    default:
  }
  return {
    word: "NEEDS OPERATOR",
    tone: "bad",
    why: "The service could not take what this server told.",
    next: nextOf(exitCode),
  };
}

function ofConfiguration(error: Error): Words {
  const { source = "" } = error as Error & { readonly source?: string };
  const isOnStick = source.includes("on the stick");
  return {
    word: "BAD CONFIG",
    tone: "bad",
    why: error.message,
    next: isOnStick
      ? "Correct metal-rivet.yaml on a laptop, put the stick back, press R. C goes on without the file; I shows what this server is."
      : "Show this screen to your operator.",
    ...(isOnStick ? { canLeaveDocument: true } : {}),
  };
}

function ofStick(error: Error): Words {
  const { problem = "" } = error as Error & { readonly problem?: string };
  const words: Readonly<Record<string, State>> = {
    absent: "NO STICK",
    gone: "NO STICK",
    "read-only": "STICK LOCKED",
    full: "STICK FULL",
  };
  return { word: words[problem] ?? "BAD STICK", tone: "bad", why: error.message, next: onceMore };
}

function nextOf(exitCode: number): string {
  switch (exitCode) {
    case ExitCode.serviceUnavailable:
    case ExitCode.temporary:
      return onceMore;
    case ExitCode.bug:
      return "This is a bug of metal-rivet: show this screen to your operator.";
    default:
      return "Show this screen to your operator.";
  }
}
