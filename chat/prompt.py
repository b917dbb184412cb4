"""From a conversation's branch to the messages that are sent, fitted to the model's context window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

MessageCounter = Callable[[dict[str, str]], int]

ANSWER_SHARE = 4
"""Without a limit of the answer, a fourth of the window is kept free for it, …"""
ANSWER_TOKENS = 4096
"""… at most so many tokens."""


GO_ON = "Go on exactly where your last message was cut off. Repeat nothing of it, and say nothing before or after."
"""What asks a model to continue; models follow instructions in English best, whatever they are to write in."""


@dataclass(frozen=True)
class Turn:
    """A prompt of the user with its answer. `answer` None = not to be sent: none yet, empty or failed."""

    prompt: str
    answer: str | None = None


@dataclass(frozen=True)
class FittedPrompt:
    """What is sent. `turns_left_out` of the oldest did not fit."""

    messages: list[dict[str, str]]
    turns_left_out: int = 0


def build(
    turns: Sequence[Turn],
    *,
    system_prompt: str = "",
    context_window: int | None = None,
    max_tokens: int | None = None,
    cut_answer: str = "",
    go_on: str = GO_ON,
    count: MessageCounter,
) -> FittedPrompt:
    """The system prompt, then as many of the newest turns as fit, oldest first; the last turn is to be answered.

    context_window  tokens of prompt and answer together; None = unknown, everything is sent
    max_tokens      tokens that the answer may take; None = a share of the window
    cut_answer      what the last turn's answer has already; it is sent too
    go_on           what is said after it; '' = nothing, for upstreams that take up what the last message holds
    count           tokens of one message with its overhead; called only when there is a window

    Turns before the last that have no answer are left out: many chat templates want user and assistant by turns, and a
    failed answer is no context. They are not counted as left out. The last turn is always sent, even
    when it alone is too long: upstream knows its own tokenizer better than we do.
    """
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    *earlier, last = turns
    history = [turn for turn in earlier if turn.answer]
    final = [{"role": "user", "content": last.prompt}]
    if cut_answer:
        final.append({"role": "assistant", "content": cut_answer})
        final += [{"role": "user", "content": go_on}] if go_on else []
    kept = history
    if context_window is not None and history:
        room = room_for_prompt(context_window, max_tokens) - sum(count(message) for message in [*system, *final])
        kept = history[len(history) - len(that_fit(costs(history, count), room)) :]
    messages = [*system, *(message for turn in kept for message in _messages(turn)), *final]
    return FittedPrompt(messages, len(history) - len(kept))


def room_for_prompt(context_window: int, max_tokens: int | None) -> int:
    """The tokens of the window that messages may take: without the answer's, and what it is primed with."""
    reserve = max_tokens if max_tokens is not None else min(context_window // ANSWER_SHARE, ANSWER_TOKENS)
    return context_window - reserve - 3


def costs(turns: Sequence[Turn], count: MessageCounter) -> Iterator[int]:
    """The tokens of the turns that have an answer, the newest first; each is counted when it is asked for."""
    return (sum(count(message) for message in _messages(turn)) for turn in reversed(turns) if turn.answer)


def that_fit(costs: Iterable[int], room: float) -> list[int]:
    """Of these costs as many as fit into so many tokens, from the first on."""
    fitting = []
    for cost in costs:
        room -= cost
        if room < 0:
            break
        fitting.append(cost)
    return fitting


def _messages(turn: Turn) -> list[dict[str, str]]:
    return [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.answer or ""}]
