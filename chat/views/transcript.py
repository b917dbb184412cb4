"""The data of messages for their template, templates/chat/_message.html."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.models import Conversation, Generation, Message, State, Tree
from chat.texts.finish_reasons import why_not_whole
from chat.views.receipt import Receipt, receipt_of


@dataclass(frozen=True)
class ShownMessage:
    """A message on the page. A prompt sets the first seven fields only; `id` '' marks the script's template."""

    role: str
    id: str = ""
    speaker: str = ""
    content: str = ""
    created_at: datetime | None = None
    parent: str = ""
    versions: tuple[str, ...] = ()
    """The ids of the message and its siblings, the oldest first."""
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

    @property
    def place(self) -> int:
        """The number of this version, from 1; 0 for the template."""
        return self.versions.index(self.id) + 1 if self.id in self.versions else 0

    @property
    def previous(self) -> str:
        """The id of the version before this one, '' for the first."""
        return self.versions[self.place - 2] if self.place > 1 else ""

    @property
    def next(self) -> str:
        """The id of the version after this one, '' for the last."""
        return self.versions[self.place] if 0 < self.place < len(self.versions) else ""


@dataclass(frozen=True)
class ShownBranch:
    """A branch of the tree of messages. `chosen`: the requested message, '' if none was."""

    messages: list[ShownMessage] = field(default_factory=list)
    chosen: str = ""
    is_newest: bool = True


def message_templates() -> list[ShownMessage]:
    """Return the empty messages that the script fills in: a prompt and an answer."""
    return [ShownMessage(Message.Role.USER, speaker=_("You")), ShownMessage(Message.Role.ASSISTANT, is_open=True)]


def shown_branch(conversation: Conversation, chosen: str, labels: Mapping[int, str]) -> ShownBranch:
    """Return the branch through the message `chosen` to its newest answer; by default that of the newest message.

    `labels`: the picker's labels of models by their ids. Makes a fixed number of queries and reads only the texts of
    the branch.
    """
    tree = conversation.tree()
    newest = tree.newest_leaf()
    if newest is None:
        return ShownBranch()
    wanted = _id_in(tree, chosen)
    leaf = tree.newest_leaf_below(wanted) if wanted else newest
    ids = tree.branch_to(leaf)
    found = conversation.messages.in_bulk(ids)
    branch = [found[one] for one in ids if one in found]
    # in_bulk can't select a reverse one-to-one relation; prefetching takes 3 queries for all messages.
    prefetch_related_objects(branch, "generation__usage", "generation__model")
    shown = [
        _shown(message, tuple(map(str, tree.versions_of(message.pk))), labels)
        for message in branch
        if message.role != Message.Role.SYSTEM
    ]
    return ShownBranch(shown, str(wanted or ""), leaf == newest)


def _id_in(tree: Tree, text: str) -> uuid.UUID | None:
    try:
        wanted = uuid.UUID(text)
    except ValueError:
        return None
    return wanted if wanted in tree else None


def _shown(message: Message, versions: tuple[str, ...], labels: Mapping[int, str]) -> ShownMessage:
    generation: Generation | None = message.current_generation
    shown = ShownMessage(
        role=message.role,
        id=str(message.id),
        speaker=_("You") if message.role == Message.Role.USER else _("Answer"),
        content=message.content,
        created_at=message.created_at,
        parent=str(message.parent_id or ""),
        versions=versions,
        state="" if message.role == Message.Role.USER else State.COMPLETED,
    )
    if generation is None:
        return shown
    usage = getattr(generation, "usage", None)
    is_open = not generation.is_final
    return replace(
        shown,
        speaker=_speaker(generation, labels),
        # The socket sends the text of a running answer, with its seq.
        content="" if is_open else message.content,
        reasoning="" if is_open else message.reasoning,
        generation=str(generation.id),
        state=generation.state,
        is_open=is_open,
        code=generation.error_code,
        reason=""
        if is_open
        else why_not_whole(
            generation.state, generation.error_code, generation.finish_reason, generation.error_parameters
        ),
        left_out=left_out(generation.turns_left_out),
        receipt=receipt_of(usage, generation.state, generation.curve)
        if usage is not None and not is_open
        else Receipt(),
    )


def _speaker(generation: Generation, labels: Mapping[int, str]) -> str:
    if generation.model is not None:
        return labels.get(generation.model.pk) or str(generation.model)
    usage = getattr(generation, "usage", None)
    return usage.model_name if usage is not None else _("Answer")


def left_out(turns: int) -> str:
    """Return the note on turns that did not fit into the prompt, or ''."""
    if not turns:
        return ""
    return ngettext(
        "%(turns)d earlier turn was left out: it doesn't fit into the model's context window.",
        "%(turns)d earlier turns were left out: they don't fit into the model's context window.",
        turns,
    ) % {"turns": turns}
