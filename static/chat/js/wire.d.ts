// Made by `manage.py protocol_types` from the Structs of chat/protocol/: change those.

export interface SendCommand {
  type: "send";
  key: string;
  conversation: string | null;
  text: string;
  model?: string | null;
  options?: Record<string, unknown> | null;
  parent?: string | null;
}

export interface RegenerateCommand {
  type: "regenerate";
  key: string;
  message: string;
  model?: string | null;
  options?: Record<string, unknown> | null;
}

export interface ContinueCommand {
  type: "continue";
  key: string;
  message: string;
}

export interface FollowCommand {
  type: "follow";
  generation: string;
  after: number;
  epoch?: string | null;
}

export interface UnfollowCommand {
  type: "unfollow";
  generation: string;
}

export interface WatchCommand {
  type: "watch";
  conversation: string | null;
}

export interface StopCommand {
  type: "stop";
  generation: string;
}

export interface HeartbeatCommand {
  type: "hb";
}

export type Command =
  | SendCommand
  | RegenerateCommand
  | ContinueCommand
  | FollowCommand
  | UnfollowCommand
  | WatchCommand
  | StopCommand
  | HeartbeatCommand;

export interface HelloFrame {
  type: "hello";
  boot: string;
  user: User;
  limits: Limits;
  models: ModelChoice[];
  protocol: number;
}

export interface AcceptedFrame {
  type: "accepted";
  key: string;
  conversation: string;
  user_message: string;
  assistant_message: string;
  generation: string;
  state: string;
  duplicate: boolean;
}

export interface RefusedFrame {
  type: "refused";
  key: string;
  code: Code;
  message: string;
  retry_after_ms?: number;
}

export interface SnapshotFrame {
  type: "snapshot";
  generation: string;
  epoch: string;
  seq: number;
  text: string;
  reasoning: string;
  state: string;
}

export interface DeltaFrame {
  type: "delta";
  generation: string;
  prev: number;
  seq: number;
  text?: string;
  reasoning?: string;
}

export interface StatusFrame {
  type: "status";
  generation: string;
  state: string;
  phase: string;
  attempt?: number;
  wait_ms?: number;
  position?: number;
  turns_left_out?: number;
  elapsed_ms?: number;
  ttft_ms?: number;
  code?: Code;
  message?: string;
}

export interface FinishedFrame {
  type: "finished";
  generation: string;
  seq: number;
  state: string;
  finish_reason: string | null;
  usage: Usage;
  timing: Timing;
  length: number;
  sha256: string;
  code: string | null;
  message?: string;
}

export interface MessageAddedFrame {
  type: "message";
  conversation: string;
  message: AddedMessage;
}

export interface ConversationChangedFrame {
  type: "conversation";
  conversation: ListedConversation | DeletedConversation;
  deleted: boolean;
}

export interface HeartbeatReplyFrame {
  type: "hb";
  heads: Record<string, number>;
  models?: ModelChoice[];
}

export interface RestartFrame {
  type: "restart";
  in_ms: number;
}

export interface ByeFrame {
  type: "bye";
  code: Code;
  message: string;
}

export interface ErrorFrame {
  type: "error";
  code: Code;
  message: string;
  ref: string | null;
}

export type Frame =
  | HelloFrame
  | AcceptedFrame
  | RefusedFrame
  | SnapshotFrame
  | DeltaFrame
  | StatusFrame
  | FinishedFrame
  | MessageAddedFrame
  | ConversationChangedFrame
  | HeartbeatReplyFrame
  | RestartFrame
  | ByeFrame
  | ErrorFrame;

export interface User {
  id: number;
  name: string;
}

export interface Limits {
  running: number;
  queued: number;
  sockets: number;
  prompts_per_minute: number;
  text_bytes: number;
  frame_bytes: number;
}

export interface ModelChoice {
  id: string;
  label: string;
  provider: string;
  stats?: Stats;
  note?: string;
}

export interface Stats {
  ttft_ms: number | null;
  tokens_per_second: number | null;
  error_percent: number | null;
  requests: number;
  failing: boolean;
}

export type Code =
  | "upstream_unreachable"
  | "upstream_dns"
  | "upstream_tls"
  | "upstream_timeout"
  | "upstream_stalled"
  | "upstream_cut"
  | "upstream_incomplete"
  | "upstream_malformed"
  | "upstream_bad_response"
  | "upstream_redirect"
  | "upstream_encoding"
  | "upstream_auth"
  | "upstream_forbidden"
  | "upstream_not_found"
  | "upstream_rejected"
  | "context_too_long"
  | "upstream_rate_limited"
  | "upstream_quota"
  | "upstream_overloaded"
  | "upstream_error"
  | "answer_empty"
  | "answer_too_long"
  | "server_shutdown"
  | "server_restarted"
  | "queue_timeout"
  | "internal"
  | "empty"
  | "too_long"
  | "not_found"
  | "unknown_model"
  | "no_model"
  | "limit_user"
  | "rate_limited"
  | "budget"
  | "idempotency_mismatch"
  | "busy_try_again"
  | "storage_full"
  | "server_restarting"
  | "invalid_json"
  | "invalid_command"
  | "too_large"
  | "log_in"
  | "forbidden"
  | "too_fast"
  | "restarting"
  | "too_slow"
  | "too_many_sockets";

export interface Usage {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  total_tokens: number | null;
  source: string;
  reasoning_tokens?: number;
  cached_tokens?: number;
  estimated?: boolean;
  cost?: string;
  currency?: string;
}

export interface Timing {
  ttft_ms: number | null;
  duration_ms: number | null;
  inter_token_latency_ms: number | null;
  tokens_per_second: number | null;
  characters_per_second: number | null;
  deltas: number;
  longest_gap_ms: number | null;
}

export interface AddedMessage {
  id: string;
  parent: string | null;
  role: string;
  content: string;
  reasoning: string;
  created_at: string;
  generation?: string;
}

export interface ListedConversation {
  id: string;
  title: string;
  model: string | null;
  pinned: boolean;
  archived: boolean;
  updated_at: string;
  state: string | null;
  unread: boolean;
}

export interface DeletedConversation {
  id: string;
}
