"""What a dead process left behind gets its end before the port opens."""

import uuid

import pytest
from django.contrib.auth import get_user_model

from chat.generation.recovery import DataDirectoryBusy, DataDirectoryLock, sweep
from chat.models import Conversation, Generation, LanguageModel, Message, Provider, Segment, UsageRecord

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model():
    provider = Provider.objects.create(name="upstream", base_url="https://llm.example.org/v1")
    return LanguageModel.objects.create(provider=provider, name="gpt-4o-mini")


@pytest.fixture
def left_behind(model):
    owner = get_user_model().objects.create_user("owner")

    def make(state, *texts):
        conversation = Conversation.objects.create(owner=owner, model=model)
        prompt = Message.objects.create(conversation=conversation, role="user", content="hi")
        answer = Message.objects.create(conversation=conversation, role="assistant", parent=prompt)
        generation = Generation.objects.create(
            user=owner, message=answer, model=model, key=uuid.uuid4(), request_hash="x", state=state
        )
        UsageRecord.objects.create(
            generation=generation, user=owner, user_name="owner", provider_name="upstream", model_name="gpt-4o-mini"
        )
        for number, text in enumerate(texts):
            Segment.objects.create(generation=generation, prev=number, seq=number + 1, text=text, at_ms=10 * number)
        return generation

    return make


@pytest.mark.parametrize(
    ("state", "texts", "ends", "code", "source"),
    [
        ("running", ["Hel", "lo"], "interrupted", "server_restarted", "counted"),
        ("running", [], "interrupted", "server_restarted", "unknown"),
        ("stopping", ["Hel", "lo"], "stopped", "", "counted"),
    ],
)
def test_what_ran_is_folded_and_closed(left_behind, state, texts, ends, code, source):
    generation = left_behind(state, *texts)
    assert sweep() == 1
    generation.refresh_from_db()
    assert (generation.state, generation.error_code, generation.message.content) == (ends, code, "".join(texts))
    assert not generation.segments.exists()
    usage = generation.usage
    assert (usage.state, usage.usage_source, usage.closed_at is not None) == (ends, source, True)
    assert sweep() == 0


def test_a_hole_in_the_segments_ends_the_text_there(left_behind):
    generation = left_behind("running", "one ", "two ", "three")
    generation.segments.filter(prev=1).delete()
    sweep()
    generation.refresh_from_db()
    assert generation.message.content == "one "


@pytest.mark.parametrize("state", ["queued", "completed", "failed", "stopped", "interrupted"])
def test_what_is_queued_or_has_ended_stays_as_it_is(left_behind, state):
    generation = left_behind(state)
    assert sweep() == 0
    generation.refresh_from_db()
    assert generation.state == state


def test_the_record_of_a_deleted_conversation_is_closed(left_behind):
    generation = left_behind("running", "text")
    record = generation.usage
    generation.message.conversation.delete()
    sweep()
    record.refresh_from_db()
    assert (record.state, record.usage_source, record.generation) == ("interrupted", "unknown", None)
    assert record.closed_at is not None


def test_the_text_is_kept_when_the_model_is_gone(left_behind, model):
    generation = left_behind("running", "kept")
    model.provider.delete()
    sweep()
    generation.refresh_from_db()
    assert (generation.message.content, generation.usage.usage_source) == ("kept", "unknown")


def test_a_model_with_odd_options_does_not_keep_the_portal_from_starting(left_behind, model):
    generation = left_behind("running", "kept")
    LanguageModel.objects.filter(pk=model.pk).update(default_options=["odd"])
    assert sweep() == 1
    generation.refresh_from_db()
    assert (generation.message.content, generation.usage.usage_source) == ("kept", "unknown")


def test_what_was_measured_before_the_end_stays_measured(left_behind):
    generation = left_behind("running", "Hel", "lo")
    UsageRecord.objects.filter(generation=generation).update(
        ttft_ms=5, duration_ms=40, writing_ms=30, longest_gap_ms=20, deltas=2, attempts=3
    )
    sweep()
    record = UsageRecord.objects.get(generation=generation)
    assert (record.ttft_ms, record.duration_ms, record.writing_ms, record.attempts) == (5, 40, 30, 3)


def test_a_directory_belongs_to_one_portal_at_a_time(tmp_path):
    data, database = tmp_path / "data", tmp_path / "database"
    data.mkdir()
    database.mkdir()
    first = DataDirectoryLock(data, database)
    first.acquire()
    for others in ([data], [database], [data, data]):
        with pytest.raises(DataDirectoryBusy, match="another portal"):
            DataDirectoryLock(*others).acquire()
    first.release()
    second = DataDirectoryLock(database)
    second.acquire()
    second.release()
