"""The runner with another user's ids: nothing of somebody else's is read, stopped, brought back or found by a key."""

import asyncio
import uuid

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from chat.conversations import KEPT, NotFound
from chat.generation import store
from chat.generation.accept import Refusal
from chat.generation.runner import Runner
from chat.models import Conversation, Generation, LanguageModel, Provider
from chat.protocol import Accepted, Send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    """Owner and colleague, and a model whose upstream refuses every connection: its answers are retried for a while."""
    provider = Provider.objects.create(name="nobody", base_url="http://127.0.0.1:1/v1", private_network=True)
    LanguageModel.objects.create(provider=provider, name="fake")
    return [get_user_model().objects.create_user(name).pk for name in ("owner", "colleague")]


@pytest.fixture
async def runner(people):
    runner = Runner()
    await asyncio.to_thread(runner.open)
    await runner.start()
    yield runner
    await runner.drain(0)
    await runner.close()


async def asked(runner, user_id, **fields):
    """Both ids of a prompt that is accepted."""
    accepted = await runner.send(user_id, Send(**{"key": uuid.uuid4(), "conversation": None, "text": "mine"} | fields))
    assert isinstance(accepted, Accepted), accepted
    return uuid.UUID(accepted.conversation), uuid.UUID(accepted.generation)


async def all_frames(runner, user_id, generation):
    return [frame async for frame in runner.follow(user_id, generation, None, 0)]


async def test_a_foreign_answer_cannot_be_stopped(runner, people):
    owner, colleague = people
    _, generation = await asked(runner, owner)
    with pytest.raises(NotFound):
        await runner.stop(colleague, generation)
    assert not runner.runs[generation].call.is_stopping
    await runner.stop(owner, generation)
    assert (await all_frames(runner, owner, generation))[-1].state == "stopped"
    runner.logs.clear()  # as a minute later
    with pytest.raises(NotFound):
        await runner.stop(colleague, generation)
    await runner.stop(owner, generation)


async def test_a_foreign_answer_cannot_be_followed_while_it_runs_nor_later(runner, people):
    owner, colleague = people
    _, generation = await asked(runner, owner)
    with pytest.raises(NotFound):
        async with asyncio.timeout(5):
            await anext(runner.follow(colleague, generation, None, 0))
    await runner.stop(owner, generation)
    await all_frames(runner, owner, generation)
    runner.logs.clear()
    with pytest.raises(NotFound):
        await all_frames(runner, colleague, generation)
    assert await runner.database.read(store.stored, colleague, generation) is None
    assert len(await all_frames(runner, owner, generation)) == 2


async def test_a_key_is_its_users_own(runner, people):
    owner, colleague = people
    key = uuid.uuid4()
    mine = await asked(runner, owner, key=key)
    theirs = await asked(runner, colleague, key=key)
    assert not set(mine) & set(theirs)
    assert await asked(runner, owner, key=key) == mine


async def test_a_prompt_follows_answers_of_its_own_conversation_only(runner, people):
    owner, _ = people
    (first, generation), (second, _) = await asked(runner, owner), await asked(runner, owner)
    answer = await runner.database.read(lambda: Generation.objects.get(pk=generation).message_id)
    with pytest.raises(Refusal) as refused:
        await runner.send(owner, Send(uuid.uuid4(), second, "and here?", parent=answer))
    assert refused.value.code == "not_found"
    await asked(runner, owner, conversation=first, parent=answer)


async def test_what_somebody_else_deleted_is_not_brought_back(runner, people):
    owner, colleague = people
    conversation, _ = await asked(runner, owner)
    await runner.conversations.delete(owner, conversation)
    with pytest.raises(NotFound):
        await runner.conversations.restore(colleague, conversation)
    await runner.conversations.restore(owner, conversation)


async def test_nothing_goes_for_good_before_it_is_too_late_to_bring_it_back(runner, people):
    owner, _ = people
    conversation, _ = await asked(runner, owner)
    row = Conversation.objects.filter(pk=conversation)
    await runner.conversations.delete(owner, conversation)
    await runner.conversations.purge()
    assert await runner.database.read(row.exists)
    await runner.database.write(lambda: row.update(deleted_at=timezone.now() - KEPT))
    await runner.conversations.purge()
    assert not await runner.database.read(row.exists)
