"""Build the messages of a request from a branch, fitted to the model's context window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

MessageCounter = Callable[[dict[str, str]], int]

ANSWER_SHARE = 4
"""Without a token limit of the answer, this part of the window (1/4) is reserved for it, …"""
ANSWER_TOKENS = 4096
"""… but at most this number of tokens."""


GO_ON = "Go on exactly where your last message was cut off. Repeat nothing of it, and say nothing before or after."
"""Asks a model to continue. In English, because models follow English instructions best, whatever they write in."""


@dataclass(frozen=True)
class Turn:
    """A prompt with its answer. `answer`: None if it is missing, empty or failed, and so is not sent."""

    prompt: str
    answer: str | None = None


@dataclass(frozen=True)
class FittedPrompt:
    """The messages of a request. `turns_left_out`: how many of the oldest turns did not fit."""

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
    """Return the system prompt and as many of the newest turns as fit, oldest first. The last turn is the new prompt.

    context_window  tokens of prompt and answer together; None = unknown, everything is sent
    max_tokens      the most tokens of the answer; None = a share of the window
    cut_answer      the text of the last turn's answer so far; it is sent too
    go_on           the message after it; '' = none, for upstreams that continue the last message
    count           returns the tokens of one message with its overhead; called only if there is a window

    Earlier turns without an answer are not sent, because many chat templates require user and assistant to alternate.
    They don't count as left out. The last turn is always sent, even if it alone is too long by our count, because
    upstream knows its tokenizer better.
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
    """Return the tokens of the window that messages may take: without the answer and its priming."""
    reserve = max_tokens if max_tokens is not None else min(context_window // ANSWER_SHARE, ANSWER_TOKENS)
    return context_window - reserve - 3


def costs(turns: Sequence[Turn], count: MessageCounter) -> Iterator[int]:
    """Yield the tokens of the turns that have an answer, newest first. Turns are counted lazily."""
    return (sum(count(message) for message in _messages(turn)) for turn in reversed(turns) if turn.answer)


def that_fit(costs: Iterable[int], room: float) -> list[int]:
    """Return the first costs, as many as fit into `room` tokens."""
    fitting = []
    for cost in costs:
        room -= cost
        if room < 0:
            break
        fitting.append(cost)
    return fitting


def _messages(turn: Turn) -> list[dict[str, str]]:
    return [{"role": "user", "content": turn.prompt}, {"role": "assistant", "content": turn.answer or ""}]
