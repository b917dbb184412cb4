"""Count the tokens that a prompt would take if it were sent now, in the same way as for a sent one.

Runs in a thread. The counts of earlier turns are cached, so that only the new text is counted while it is written.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from functools import lru_cache, partial

from chat import prompt, tokens
from chat.codes import Code
from chat.generation import inputs
from chat.generation.accept import Refusal, choose_model, parent_id
from chat.models import Conversation, Generation, Message

NEAR = 0.9
CONTEXTS = 256
"""The number of branches whose counts are cached."""


@dataclass(frozen=True)
class Measure:
    """The context usage of a prompt in tokens, with the overhead of messages.

    tokens        the whole prompt; without a text, the context only
    context       the part for the system prompt and the earlier turns that fit
    window        the model's context window; None = unknown
    left_out      the number of earlier turns that do not fit
    is_estimated  whether another table than the model's own was used
    """

    tokens: int
    context: int
    window: int | None
    left_out: int = 0
    is_estimated: bool = False

    @property
    def is_near(self) -> bool:
        """Whether the prompt takes almost the whole window, or more."""
        return self.window is not None and self.tokens >= NEAR * self.window

    @property
    def is_over(self) -> bool:
        """Whether the prompt does not fit into the window."""
        return self.window is not None and self.tokens > self.window


def measure(
    user_id: int,
    text: str,
    model: str | None = None,
    conversation: uuid.UUID | None = None,
    parent: uuid.UUID | None = None,
) -> Measure | None:
    """Return the usage of a `send` with these fields; None if the conversation was just deleted. Raises Refusal."""
    found, leaf = None, None
    if conversation is not None:
        # guard: a prompt is counted in a conversation by its owner
        found = Conversation.objects.filter(owner_id=user_id, pk=conversation).first()
        if found is None:
            raise Refusal(Code.NOT_FOUND)
        if found.deleted_at is not None:
            return None
        leaf = parent_id(found, parent)
    chosen = choose_model(user_id, model, found)
    terms = inputs.settings_for(chosen, found)
    window = chosen.context_window
    room = math.inf if window is None else prompt.room_for_prompt(window, terms.max_tokens)
    system = _cost_of_system_prompt(terms.system_prompt, terms.encoding.name, chosen.name)
    asked = terms.count({"role": "user", "content": text}) if text.strip() else 0
    turns = _Turns()
    if leaf is not None:
        unfinished = Generation.objects.unfinished().filter(message__conversation=conversation)
        written = frozenset(unfinished.values_list("message_id", flat=True))
        turns = _turns_before(leaf, written, terms.encoding.name, chosen.name, room)
    kept = prompt.that_fit(turns.costs, room - system - asked)
    context = system + sum(kept)
    return Measure(
        tokens=context + asked + (tokens.PER_ANSWER if asked else 0),
        context=context,
        window=window,
        left_out=turns.total - len(kept),
        is_estimated=not terms.encoding.is_exact or terms.is_plain,
    )


@dataclass(frozen=True)
class _Turns:
    """The tokens of answered turns, newest first, as many as can fit, and the number of all answered turns."""

    costs: tuple[int, ...] = ()
    total: int = 0


@lru_cache(CONTEXTS)
def _turns_before(leaf: uuid.UUID, written: frozenset[uuid.UUID], encoding: str, model: str, room: float) -> _Turns:
    """Count the turns up to the message `leaf`. Messages never change, except answers being `written`."""
    message = Message.objects.select_related("conversation").filter(pk=leaf).first()
    turns = inputs.turns_of(message.conversation.branch_to(leaf)) if message else []
    count = partial(tokens.count_message, encoding=encoding, model=model)
    return _Turns(tuple(prompt.that_fit(prompt.costs(turns, count), room)), sum(bool(turn.answer) for turn in turns))


@lru_cache(CONTEXTS)
def _cost_of_system_prompt(text: str, encoding: str, model: str) -> int:
    return tokens.count_message({"role": "system", "content": text}, encoding, model) if text else 0
