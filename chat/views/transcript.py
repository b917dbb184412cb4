"""Messages as the page shows them: the data for templates/chat/_message.html, the one template of a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.messages import sentence
from chat.models import Conversation, Generation, Message, State
from chat.views.receipt import Receipt, receipt_of


@dataclass(frozen=True)
class ShownMessage:
    """One message. Of a prompt only the first five are set; with `id` '' it is the mould for the script."""

    role: str
    id: str = ""
    speaker: str = ""
    content: str = ""
    created_at: datetime | None = None
    reasoning: str = ""
    generation: str = ""
    state: str = ""
    is_open: bool = False
    code: str = ""
    reason: str = ""
    left_out: str = ""
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def is_answer(self) -> bool:
        """Whether a model wrote it."""
        return self.role == Message.Role.ASSISTANT


def moulds() -> list[ShownMessage]:
    """The empty messages that the script fills: a prompt and an answer."""
    return [ShownMessage(Message.Role.USER, speaker=_("You")), ShownMessage(Message.Role.ASSISTANT, is_open=True)]


def shown_messages(conversation: Conversation) -> list[ShownMessage]:
    """The newest branch of `conversation`, in a fixed number of queries."""
    branch = conversation.latest_branch()
    # A reverse one-to-one can't be selected from latest_branch's plain list; fetched together it is 3 queries for all.
    prefetch_related_objects(branch, "generation__usage", "generation__model")
    return list(_shown(branch))


def _shown(branch: Iterable[Message]) -> Iterable[ShownMessage]:
    for message in branch:
        if message.role == Message.Role.USER:
            yield ShownMessage(message.role, str(message.id), _("You"), message.content, message.created_at)
        elif message.role == Message.Role.ASSISTANT:
            yield _shown_answer(message, message.current_generation)


def _shown_answer(message: Message, generation: Generation | None) -> ShownMessage:
    if generation is None:
        return ShownMessage(
            message.role, str(message.id), _("Answer"), message.content, message.created_at, state=State.COMPLETED
        )
    usage = getattr(generation, "usage", None)
    is_open = not generation.is_final
    return ShownMessage(
        role=message.role,
        id=str(message.id),
        speaker=_speaker(generation),
        # The text of a running answer comes by the socket, with its place in the stream.
        content="" if is_open else message.content,
        created_at=message.created_at,
        reasoning="" if is_open else message.reasoning,
        generation=str(generation.id),
        state=generation.state,
        is_open=is_open,
        code=generation.error_code,
        reason=reason_of(generation),
        left_out=left_out(generation.turns_left_out),
        receipt=receipt_of(usage, generation.state) if usage is not None and not is_open else Receipt(),
    )


def _speaker(generation: Generation) -> str:
    if generation.model is not None:
        return str(generation.model)
    usage = getattr(generation, "usage", None)
    return usage.model_name if usage is not None else _("Answer")


def reason_of(generation: Generation) -> str:
    """Why the answer isn't whole; '' when it is, or while it runs."""
    if generation.state == State.STOPPED:
        return _("You stopped this answer.")
    if generation.error_code:
        return sentence(generation.error_code, generation.error_parameters)
    return sentence("server_restarted") if generation.state == State.INTERRUPTED else ""


def left_out(turns: int) -> str:
    """What to say about turns that did not fit into the prompt."""
    if not turns:
        return ""
    return ngettext(
        "%(turns)d earlier turn was left out: it doesn't fit into the model's context window.",
        "%(turns)d earlier turns were left out: they don't fit into the model's context window.",
        turns,
    ) % {"turns": turns}
