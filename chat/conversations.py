"""Commands on conversations: create, change, show, delete and restore.

Each command is one transaction of the writer, and every tab of the owner gets its event.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from chat.database import Database
from chat.live.subscriptions import Subscription, Subscriptions, frames
from chat.models import Conversation
from chat.protocol import Frame

KEPT = timedelta(seconds=30)
"""How long a deleted conversation can be restored."""


class NotFound(Exception):
    """The conversation or generation does not exist, or belongs to another user."""


class Conversations:
    """Commands on the conversations of all users."""

    def __init__(self, database: Database) -> None:
        self.subscriptions = Subscriptions()
        self._database = database

    async def create(self, user_id: int) -> uuid.UUID:
        """Create an empty conversation, which can hold options before its first prompt. It isn't listed yet."""
        created = await self._database.write(lambda: Conversation.objects.create(owner_id=user_id))
        return created.pk

    async def change(self, user_id: int, conversation: uuid.UUID, changes: Mapping[str, Any]) -> Conversation:
        """Set fields and return the changed row. Raises NotFound.

        `options` are merged into the stored ones; None removes an option.
        """
        changed = await self._database.write(lambda: _change(user_id, conversation, changes))
        self.subscriptions.publish(user_id, conversation)
        return changed

    async def delete(self, user_id: int, conversation: uuid.UUID) -> None:
        """Hide the conversation at once. Its row and its running answers stay for KEPT. Raises NotFound."""
        # guard: a conversation is deleted by its owner
        owned = Conversation.objects.owned_by(user_id).filter(pk=conversation)
        if not await self._database.write(lambda: owned.update(deleted_at=timezone.now())):
            raise NotFound
        self.subscriptions.publish(user_id, conversation)

    async def restore(self, user_id: int, conversation: uuid.UUID) -> None:
        """Restore a deleted conversation. Raises NotFound if it was purged."""
        # guard: a conversation is brought back by its owner
        deleted = Conversation.objects.filter(owner_id=user_id, pk=conversation).exclude(deleted_at=None)
        if not await self._database.write(lambda: deleted.update(deleted_at=None)):
            raise NotFound
        self.subscriptions.publish(user_id, conversation)

    async def watch(self, subscription: Subscription, conversation: uuid.UUID | None) -> None:
        """Set the conversation that a tab shows, and mark its answers as seen. Raises NotFound."""
        before = subscription.conversation
        subscription.conversation = conversation  # at once: no event may get lost
        if conversation is not None:
            # guard: a conversation is watched by its owner
            found = Conversation.objects.owned_by(subscription.user_id).filter(pk=conversation)
            known = await self._database.read(found.with_state().first)
            if known is None:
                subscription.conversation = before
                raise NotFound
            if known.unread:  # type: ignore[attr-defined]  # annotated by with_state
                await self._database.write(lambda: found.update(seen_at=timezone.now()))
                self.subscriptions.publish(subscription.user_id, conversation)

    async def pending_frames(self, subscription: Subscription) -> list[Frame]:
        """Return the frames of a tab's pending changes. After a DatabaseError the changes are still pending."""
        conversations, messages = subscription.take()
        try:
            return await self._database.read(frames, subscription.user_id, conversations, messages)
        except DatabaseError:
            subscription.put_back(conversations, messages)
            raise

    async def purge(self) -> None:
        """Delete the rows of conversations that were not restored in time. The runner ends their runs."""
        # guard: what was deleted stays for Undo
        overdue = Conversation.objects.filter(deleted_at__lt=timezone.now() - KEPT)
        for pk in await self._database.read(lambda: list(overdue.values_list("pk", flat=True)[:20])):
            await self._database.write(lambda pk=pk: overdue.filter(pk=pk).delete())  # type: ignore[misc]


def _change(user_id: int, pk: uuid.UUID, changes: Mapping[str, Any]) -> Conversation:
    # guard: a conversation is changed by its owner
    conversation = Conversation.objects.owned_by(user_id).filter(pk=pk).first()
    if conversation is None:
        raise NotFound
    fields = dict(changes)
    if "options" in fields:
        merged = {**conversation.options, **fields["options"]}
        fields["options"] = {name: value for name, value in merged.items() if value is not None}
    for name, value in fields.items():
        setattr(conversation, name, value)
    if fields:
        conversation.save(update_fields=list(fields))
    return conversation
