"""Subscriptions of tabs to their user's conversations, and to new messages in the conversation that a tab shows.

A subscription holds ids only; the rows are read when frames are sent. So a slow tab costs a few ids, several changes
of one row become one frame, and a frame never holds old values. All methods run on the event loop.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterable

from chat.models import Conversation, Message
from chat.protocol import ConversationChanged, Frame, MessageAdded
from chat.protocol.objects import AddedMessage, ListedConversation

LONGEST = 2_000
"""The most ids that may be pending for one tab. A tab with more does not read its socket."""


class SubscriptionOverflow(Exception):
    """More than LONGEST ids are pending: the tab does not read its socket."""


class Subscription:
    """The subscription of one tab, with the ids of changes that were not sent yet."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.conversation: uuid.UUID | None = None
        self._conversations: dict[uuid.UUID, None] = {}
        self._messages: dict[uuid.UUID, None] = {}
        self._event = asyncio.Event()

    def add(self, conversation: uuid.UUID, messages: Iterable[uuid.UUID]) -> None:
        """Add a changed conversation and its new messages. Ids that are pending already are not added again."""
        self._conversations[conversation] = None
        if conversation == self.conversation:
            self._messages.update(dict.fromkeys(messages))
        self._event.set()

    async def wait(self) -> None:
        """Wait until a change is pending. Raises SubscriptionOverflow."""
        await self._event.wait()
        if len(self._conversations) + len(self._messages) > LONGEST:
            raise SubscriptionOverflow

    def take(self) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
        """Remove and return the pending ids of conversations and of messages."""
        taken = list(self._conversations), list(self._messages)
        self._conversations.clear()
        self._messages.clear()
        self._event.clear()
        return taken

    def put_back(self, conversations: Iterable[uuid.UUID], messages: Iterable[uuid.UUID]) -> None:
        """Return ids from `take` that could not be sent."""
        self._conversations.update(dict.fromkeys(conversations))
        self._messages.update(dict.fromkeys(messages))
        self._event.set()


class Subscriptions:
    """The open subscriptions of all users."""

    def __init__(self) -> None:
        self._by_user: dict[int, set[Subscription]] = {}

    def open(self, user_id: int) -> Subscription:
        """Open a subscription that shows no conversation yet."""
        subscription = Subscription(user_id)
        self._by_user.setdefault(user_id, set()).add(subscription)
        return subscription

    def close(self, subscription: Subscription) -> None:
        """Remove a subscription whose tab is gone."""
        subscriptions = self._by_user.get(subscription.user_id, set())
        subscriptions.discard(subscription)
        if not subscriptions:
            self._by_user.pop(subscription.user_id, None)

    def publish(
        self,
        user_id: int,
        conversation: uuid.UUID,
        messages: Collection[uuid.UUID] = (),
        by: Subscription | None = None,
    ) -> None:
        """Add a changed conversation, perhaps with new messages, to the owner's subscriptions.

        `by`: the tab that sent the messages. It gets their ids in the frame `accepted` instead.
        """
        # guard: events go to the tabs of their user
        for subscription in self._by_user.get(user_id, ()):
            subscription.add(conversation, messages if subscription is not by else ())

    def is_watched(self, user_id: int, conversation: uuid.UUID | None) -> bool:
        """Return whether a tab of the user shows the conversation."""
        return conversation is not None and any(
            subscription.conversation == conversation for subscription in self._by_user.get(user_id, ())
        )


def frames(user_id: int, conversations: Collection[uuid.UUID], messages: Collection[uuid.UUID]) -> list[Frame]:
    """Read the conversations and messages and return their frames, conversations first."""
    there = {one.pk: one for one in Conversation.objects.owned_by(user_id).filter(pk__in=conversations).with_state()}
    found: list[Frame] = []
    for conversation_id in conversations:
        if (conversation := there.get(conversation_id)) is not None:
            found.append(ConversationChanged(_conversation_fields(conversation), deleted=False))
        else:
            found.append(ConversationChanged({"id": str(conversation_id)}, deleted=True))
    added = Message.objects.owned_by(user_id).filter(pk__in=messages).select_related("generation")
    for message in added.order_by("created_at", "id"):
        found.append(MessageAdded(str(message.conversation_id), _message_fields(message)))
    return found


def _conversation_fields(conversation: Conversation) -> ListedConversation:
    return {
        "id": str(conversation.pk),
        "title": conversation.title,
        "model": None if conversation.model_id is None else str(conversation.model_id),
        "pinned": conversation.pinned,
        "archived": conversation.archived_at is not None,
        "updated_at": conversation.updated_at.isoformat(),
        "state": conversation.state,  # type: ignore[attr-defined]  # annotated by with_state
        "unread": conversation.unread,  # type: ignore[attr-defined]
    }


def _message_fields(message: Message) -> AddedMessage:
    fields: AddedMessage = {
        "id": str(message.pk),
        "parent": None if message.parent_id is None else str(message.parent_id),
        "role": message.role,
        "content": message.content,
        "reasoning": message.reasoning,
        "created_at": message.created_at.isoformat(),
    }
    if (generation := message.current_generation) is not None:
        fields["generation"] = str(generation.pk)
    return fields
