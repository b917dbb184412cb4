// When to connect again, and whether at all, after a socket was closed. Pure.

import { CLOSE_CODES } from "chat/protocol";

export const SHORTEST_MS = 500;
export const LONGEST_MS = 15_000;
export const PATIENCE_MS = 30_000;

// → {action: "login" | "stop" | "retry", wait_ms, patient}. `attempt` counts the failures since the last hello;
// `random` gives 0 ≤ x < 1. `patient` means that waking up is no reason to come earlier.
export function afterClose(code, attempt, random = Math.random) {
  switch (code) {
    case CLOSE_CODES.log_in:
      return { action: "login", wait_ms: 0, patient: true };
    case CLOSE_CODES.forbidden:
      return { action: "stop", wait_ms: 0, patient: true };
    case CLOSE_CODES.too_fast:
    case CLOSE_CODES.too_many_sockets:
      return { action: "retry", wait_ms: PATIENCE_MS, patient: true };
    case CLOSE_CODES.restarting:
      return { action: "retry", wait_ms: attempt === 0 ? 0 : jittered(attempt, random), patient: false };
    default:
      return { action: "retry", wait_ms: jittered(attempt, random), patient: false };
  }
}

// Full jitter: two hundred browsers after a restart must not come in step.
function jittered(attempt, random) {
  return Math.round(random() * Math.min(LONGEST_MS, SHORTEST_MS * 2 ** Math.min(attempt, 10)));
}
