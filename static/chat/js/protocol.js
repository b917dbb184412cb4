// The browser wire, mirrored from chat/protocol.py; a test compares the two. Fields in the order of chat/protocol.py.

export const PROTOCOL = 1;

export const COMMANDS = {
  send: ["key", "conversation", "text", "model", "options", "parent"],
  regenerate: ["key", "message", "model", "options"],
  follow: ["generation", "after", "epoch"],
  unfollow: ["generation"],
  watch: ["conversation"],
  stop: ["generation"],
  hb: [],
};

export const FRAMES = {
  hello: ["boot", "user", "limits", "models", "protocol"],
  accepted: ["key", "conversation", "user_message", "assistant_message", "generation", "state", "duplicate"],
  refused: ["key", "code", "message", "retry_after_ms"],
  snapshot: ["generation", "epoch", "seq", "text", "reasoning", "state"],
  delta: ["generation", "prev", "seq", "text", "reasoning"],
  status: [
    "generation", "state", "phase", "attempt", "wait_ms", "position", "turns_left_out", "elapsed_ms", "ttft_ms",
  ],
  finished: [
    "generation", "seq", "state", "finish_reason", "usage", "timing", "length", "sha256", "code", "message",
  ],
  message: ["conversation", "message"],
  conversation: ["conversation", "deleted"],
  hb: ["heads"],
  restart: ["in_ms"],
  bye: ["code", "message"],
  error: ["code", "message", "ref"],
};

export const PHASES = ["queued", "connecting", "waiting", "writing", "retrying"];

export const OPEN_STATES = ["queued", "running", "stopping"];
export const FINAL_STATES = ["completed", "stopped", "failed", "interrupted"];

export const REFUSALS = [
  "empty", "too_long", "not_found", "unknown_model", "no_model", "limit_user", "rate_limited", "budget",
  "idempotency_mismatch", "busy_try_again", "storage_full", "server_restarting",
];

export const ERRORS = ["invalid_json", "invalid_command", "too_large", "not_found", "internal"];

export const CLOSE_CODES = {
  log_in: 4001,
  forbidden: 4003,
  too_fast: 4008,
  restarting: 4012,
  too_slow: 4013,
  too_many_sockets: 4029,
};
