// @ts-check
// What the page needs to know of chat/protocol/ by name; a test compares the two.

export const OPEN_STATES = ["queued", "running", "stopping"];
export const FINAL_STATES = ["completed", "stopped", "failed", "interrupted"];

export const CLOSE_CODES = {
  log_in: 4001,
  forbidden: 4003,
  too_fast: 4008,
  restarting: 4012,
  too_slow: 4013,
  too_many_sockets: 4029,
};
