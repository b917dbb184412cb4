"""Each invariant is seen to be broken when it is, and by nothing else."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from chat import integrity
from chat.models import Conversation, Generation, Message, Segment, SelfCheck, State, UsageRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return get_user_model().objects.create_user("owner", password="the right password")


@pytest.fixture
def prompt(owner):
    conversation = Conversation.objects.create(owner=owner, title="About rivers")
    return Message.objects.create(conversation=conversation, role="user", content="Tell me")


def ask(prompt, state=State.COMPLETED, **record):
    """A generation with everything that belongs to it."""
    owner = prompt.conversation.owner
    message = Message.objects.create(conversation=prompt.conversation, parent=prompt, role="assistant")
    ended = state in (State.COMPLETED, State.STOPPED, State.FAILED, State.INTERRUPTED)
    now = timezone.now()
    generation = Generation.objects.create(
        user=owner,
        message=message,
        key=uuid.uuid4(),
        request_hash="x",
        state=state,
        finished_at=now if ended else None,
    )
    counts = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "usage_source": "counted"} if ended else {}
    UsageRecord.objects.create(
        generation=generation,
        user=owner,
        user_name="owner",
        provider_name="p",
        model_name="m",
        **{"state": state, "closed_at": now if ended else None, **counts, **record},
    )
    return generation


def test_all_is_well_with_every_state(prompt):
    for state in State:
        ask(prompt, state)
    running = ask(prompt, State.RUNNING)
    Segment.objects.create(generation=running, prev=0, seq=3, at_ms=5)
    Segment.objects.create(generation=running, prev=3, seq=4, at_ms=9)
    assert integrity.breaches() == {}
    gone = ask(prompt)
    gone.message.delete()  # its figures stay
    assert UsageRecord.objects.filter(generation=None).count() == 1
    assert integrity.breaches() == {}


def break_answer(prompt):
    return Message.objects.create(conversation=prompt.conversation, parent=prompt, role="assistant")


def break_record(prompt):
    generation = ask(prompt)
    generation.usage.delete()
    return generation


def break_closed(prompt):
    return ask(prompt, closed_at=None)


def break_open(prompt):
    return ask(prompt, State.RUNNING, closed_at=timezone.now(), usage_source="unknown")


def break_state(prompt):
    generation = ask(prompt, State.FAILED)
    UsageRecord.objects.filter(generation=generation).update(state=State.COMPLETED)
    return generation


def break_segments(prompt):
    return Segment.objects.create(generation=ask(prompt), prev=0, seq=3, at_ms=5)


def break_order(prompt):
    running = ask(prompt, State.RUNNING)
    Segment.objects.create(generation=running, prev=0, seq=3, at_ms=5)
    return Segment.objects.create(generation=running, prev=4, seq=5, at_ms=9)


def break_time(prompt):
    generation = ask(prompt)
    Generation.objects.filter(pk=generation.pk).update(finished_at=None)
    return generation


def break_tree(prompt):
    generation = ask(prompt)
    other = Conversation.objects.create(owner=prompt.conversation.owner, title="Another")
    Message.objects.filter(pk=generation.message.pk).update(conversation=other)
    return generation.message


def break_sum(prompt):
    return ask(prompt, total_tokens=8).usage


def break_cost(prompt):
    record = ask(prompt).usage
    UsageRecord.objects.filter(pk=record.pk).update(prompt_price=1, completion_price=1, currency="USD", cost=None)
    return record


@pytest.mark.parametrize(
    "damage",
    [
        break_answer,
        break_record,
        break_closed,
        break_open,
        break_state,
        break_segments,
        break_order,
        break_time,
        break_tree,
        break_sum,
        break_cost,
    ],
)
def test_a_breach_is_named_with_the_row_that_breaks_it(prompt, damage, request):
    ask(prompt)
    damaged = damage(prompt)
    place = request.node.callspec.indices["damage"]
    assert integrity.breaches() == {integrity.INVARIANTS[place].name: [str(damaged.pk)]}


def test_every_invariant_is_broken_by_a_test_above():
    assert len(integrity.INVARIANTS) == 11


def test_what_nobody_sees_to_is_found_after_a_while(prompt):
    waits = ask(prompt, State.QUEUED)
    assert integrity.forgotten([]) == {}
    Generation.objects.filter(pk=waits.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    assert list(integrity.forgotten([]).values()) == [[str(waits.pk)]]
    assert integrity.forgotten([waits.pk]) == {}


def test_the_command_says_what_holds_and_what_is_broken(prompt, capsys):
    call_command("self_check")
    assert "BROKEN" not in capsys.readouterr().out
    generation = break_record(prompt)
    with pytest.raises(SystemExit) as ended:
        call_command("self_check")
    assert ended.value.code == 1
    assert f"BROKEN  every generation has its usage record: {generation.pk}" in capsys.readouterr().out
    assert [result.is_well for result in SelfCheck.objects.order_by("at")] == [True, False]


def test_old_results_go(prompt):
    integrity.record(SelfCheck(at=timezone.now() - timedelta(days=31), duration_ms=1, generations=0))
    integrity.record(integrity.check())
    assert SelfCheck.objects.count() == 1


def test_the_admin_shows_the_checks_and_makes_one(client, prompt):
    staff = get_user_model().objects.create_superuser("staff", password="the right password")
    client.force_login(staff)
    break_record(prompt)
    page = client.post("/admin/chat/selfcheck/now/", follow=True).content.decode()
    assert "Something is wrong with the stored data" in page
    assert "every generation has its usage record" in page
    assert client.get("/admin/chat/selfcheck/now/").status_code == 405


def test_who_may_not_see_the_checks_cannot_make_one(client):
    client.force_login(get_user_model().objects.create_user("colleague", password="the right password", is_staff=True))
    assert client.post("/admin/chat/selfcheck/now/").status_code == 403
    assert SelfCheck.objects.count() == 0
