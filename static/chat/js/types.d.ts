// Types that several modules share. What the socket carries stands in wire.d.ts.

/** Sends the events named in `Events`, each with a `detail` of the type given there. */
export interface TypedTarget<Events> extends EventTarget {
  addEventListener<Name extends keyof Events & string>(
    name: Name,
    listener: (event: CustomEvent<Events[Name]>) => void,
  ): void;
  readonly events?: Events;
}

/** What a class extends that sends such events: EventTarget, by another type. */
export type TargetOf<Events> = { new (): TypedTarget<Events> };

/** What the portal tells the script about the page (chat/views/pages.py). */
export interface Page extends ShownBranch {
  user: number;
  conversation: string | null;
  socket: string;
  login: string;
  chat: string;
  tokens: string;
  text_bytes: number;
}

/** Which branch stands on a page; `message` is the one that was asked for, "" when none was. */
export interface ShownBranch {
  message: string;
  is_newest: boolean;
  updated_at: string | null;
}

/** What this browser keeps: localStorage, sessionStorage, or memory in their place. */
export interface Store {
  names(): string[];
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** What the portal answers to a small request. Its JSON is checked by nobody: `T` is what the caller reads of it. */
export interface Reply<T = unknown> {
  status: number;
  json: T | null;
}

/** Refusals of a form, by field. */
export interface FormErrors {
  errors?: Record<string, string>;
}

/** An answer of chat/views/conversations.py: the title and the options of a conversation, or what is wrong. */
export interface Details extends FormErrors {
  title: string;
  pinned: boolean;
  [option: string]: unknown;
}

/** What the list shows of a conversation; `updatedAt` is in milliseconds. */
export interface Facts {
  id: string;
  title: string;
  pinned: boolean;
  unread: boolean;
  state: string | null;
  updatedAt: number;
}
