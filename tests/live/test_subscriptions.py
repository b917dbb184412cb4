"""From when on a tab watches."""

import uuid

import pytest

from chat.conversations import Conversations, NotFound


class EmptyDatabase:
    """Finds nothing, and notes whether the tab is a watcher meanwhile."""

    def __init__(self, conversation):
        self.conversation = conversation
        self.watched = []

    async def read(self, work, *args):
        self.watched.append(self.conversations.subscriptions.is_watched(1, self.conversation))


async def test_a_tab_watches_from_the_moment_it_says_so_and_not_what_is_not_there():
    before, conversation = uuid.uuid4(), uuid.uuid4()
    database = EmptyDatabase(conversation)
    database.conversations = conversations = Conversations(database)
    tab = conversations.subscriptions.open(1)
    tab.conversation = before

    with pytest.raises(NotFound):
        await conversations.watch(tab, conversation)

    assert database.watched == [True]
    assert tab.conversation == before
