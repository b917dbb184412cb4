"""The count of a prompt that is being written: as it would be charged, whose it is, and what is too much."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.contrib.auth.models import Group

from chat import tokens
from chat.context_usage import Measure, measure
from chat.generation import inputs
from chat.limits import TEXT_BYTES
from chat.models import Conversation, Generation, LanguageModel, Message, Provider, State
from chat.views import tokens as view
from tests.support.conversations import add_generation, make_conversation

ADDRESS = "/chat/tokens/"


def count(browse, text="", conversation=None, **fields):
    answer = browse.post(
        ADDRESS, {"text": text, "conversation": getattr(conversation, "pk", conversation or ""), **fields}
    )
    assert answer.status_code == 200
    return answer.json()


def messages(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


def expected(*pairs):
    return tokens.count_prompt(messages(*pairs), "o200k_base", "gpt-4o-mini")


def test_a_new_prompt_is_counted_as_it_will_be_charged(browse, model):
    model.context_window = 32_000
    model.save()
    assert count(browse, "What is 1+1?") == {
        "tokens": expected(("user", "What is 1+1?")),
        "context": 0,
        "window": 32_000,
        "words": "14 of 32k tokens",
        "used": "14",
        "percent": 0.1,
        "near": False,
        "over": False,
        "left_out": 0,
    }


def test_on_an_empty_page_there_is_nothing_to_count(browse, model):
    for text in ("", " \n "):
        found = count(browse, text)
        assert (found["tokens"], found["words"]) == (0, "")


def test_the_context_is_what_goes_along(browse, owner, model):
    conversation = make_conversation(owner, model, turns=2)
    turns = [("user", "prompt 0"), ("assistant", "answer 0"), ("user", "prompt 1"), ("assistant", "answer 1")]
    alone = count(browse, "", conversation)
    assert alone["tokens"] == alone["context"] == expected(*turns) - tokens.PER_ANSWER
    with_text = count(browse, "and on", conversation)
    assert with_text["tokens"] == expected(*turns, ("user", "and on"))
    assert with_text["context"] == alone["context"]
    conversation.system_prompt = "Be brief."
    conversation.save()
    assert count(browse, "and on", conversation)["tokens"] == expected(
        ("system", "Be brief."), *turns, ("user", "and on")
    )


def test_it_counts_what_the_run_then_sends(browse, owner, model):
    model.context_window, model.default_options, model.system_prompt = 120, {"max_tokens": 20}, "Answer in one word."
    model.save()
    conversation = make_conversation(owner, model, turns=9)
    before = count(browse, "word " * 20, conversation)
    prompt = Message.objects.create(
        conversation=conversation, parent_id=conversation.newest_leaf_id(), role="user", content="word " * 20
    )
    answer = Message.objects.create(conversation=conversation, parent=prompt, role="assistant")
    asked = inputs.prepared_request_of(add_generation(owner, model, answer, State.RUNNING).pk)
    assert before["tokens"] == inputs.count_usage(asked, "", "").prompt_tokens
    assert before["left_out"] == asked.turns_left_out > 0
    assert before["words"] == f"{before['tokens']} of 120 tokens, {asked.turns_left_out} turns left out"


def test_a_longer_text_leaves_less_room_for_earlier_turns(browse, owner, model):
    model.context_window = 400
    model.save()
    conversation = make_conversation(owner, model, turns=10)
    found = [count(browse, "word " * words, conversation) for words in (1, 150, 250, 390, 420)]
    assert [one["left_out"] for one in found] == sorted(one["left_out"] for one in found)
    assert (found[0]["left_out"], found[-1]["left_out"], found[-1]["context"]) == (0, 10, 0)
    assert [(one["near"], one["over"]) for one in found] == [(False, False)] * 3 + [(True, False), (True, True)]
    assert found[-1]["percent"] == 100


def test_the_branch_is_that_of_the_message_it_follows(browse, owner, model):
    conversation = make_conversation(owner, model)
    prompt = Message.objects.get(role="user")
    other = Message.objects.create(conversation=conversation, parent=prompt, role="assistant", content="much " * 100)
    add_generation(owner, model, other, State.COMPLETED)
    first = Message.objects.get(content="answer 0")
    newest = count(browse, "", conversation)
    assert newest == count(browse, "", conversation, message=other.pk)
    assert newest["tokens"] > 100 > count(browse, "", conversation, message=first.pk)["tokens"]


def test_an_answer_counts_from_its_end_on_unless_it_failed(browse, owner, model):
    conversation = make_conversation(owner, model, turns=2, state=State.RUNNING)
    first_turn = expected(("user", "prompt 0"), ("assistant", "answer 0")) - tokens.PER_ANSWER
    Message.objects.filter(content="answer 1").update(content="")
    assert count(browse, "", conversation)["tokens"] == first_turn
    Message.objects.filter(content="").update(content="answer 1")
    Generation.objects.filter(state=State.RUNNING).update(state=State.COMPLETED)
    assert count(browse, "", conversation)["tokens"] == 2 * first_turn
    failed = make_conversation(owner, model, turns=2, state=State.FAILED)
    assert count(browse, "", failed)["tokens"] == first_turn


def test_typing_counts_what_is_typed_and_nothing_else(browse, owner, model, monkeypatch):
    conversation = make_conversation(owner, model, turns=3)
    conversation.system_prompt = "Be brief."
    conversation.save()
    count(browse, "", conversation)
    counted = []
    monkeypatch.setattr(tokens, "count_text", lambda text, encoding: counted.append(text) or 1)
    count(browse, "and on", conversation)
    assert counted == ["user", "and on"]


def test_an_estimate_says_so_and_an_unknown_window_is_none(browse, model):
    other = LanguageModel.objects.create(provider=model.provider, name="nobodys-own-7b", context_window=8192)
    assert count(browse, "hello", model=other.pk)["words"] == "≈ 8 of 8k tokens"
    found = count(browse, "hello", model=model.pk)
    assert (found["words"], found["window"], found["percent"]) == ("8 tokens", None, None)
    assert not found["near"] and not found["over"]
    model.provider.dialect = Provider.Dialect.COMPLETIONS
    model.provider.save()
    assert count(browse, "hello", model=model.pk)["used"] == "≈ 8"


def test_without_a_model_it_is_the_conversations_own_else_the_first(browse, owner, model):
    first = LanguageModel.objects.create(provider=model.provider, name="gpt-4o", position=1, context_window=1)
    assert count(browse, "hello")["window"] == 1
    assert count(browse, "hello", make_conversation(owner, model))["window"] is None
    assert count(browse, "hello", make_conversation(owner, model), model=first.pk)["window"] == 1


def test_a_foreign_conversation_is_as_unknown_as_none(client, owner, colleague, model):
    conversation = make_conversation(owner, model)
    message = conversation.newest_leaf_id()
    client.force_login(colleague)
    own = make_conversation(colleague, model)
    for fields in (
        {"conversation": conversation.pk},
        {"conversation": uuid.uuid4()},
        {"conversation": "nonsense"},
        {"conversation": own.pk, "message": message},
        {"conversation": own.pk, "message": "nonsense"},
    ):
        assert client.post(ADDRESS, {"text": "x", **fields}).status_code == 404, fields
    assert client.post(ADDRESS, {"text": "x", "conversation": own.pk}).status_code == 200


def test_what_has_just_gone_has_no_figure_and_is_no_fault(browse, owner, model):
    conversation = make_conversation(owner, model)
    conversation.deleted_at = conversation.created_at
    conversation.save()
    assert browse.post(ADDRESS, {"text": "x", "conversation": conversation.pk}).status_code == 204
    assert browse.post(ADDRESS, {"text": "x", "model": "999999"}).status_code == 204
    LanguageModel.objects.all().delete()
    assert browse.post(ADDRESS, {"text": "x"}).status_code == 204


def test_a_model_for_others_only_is_no_model(browse, model):
    model.groups.add(Group.objects.create(name="others"))
    assert browse.post(ADDRESS, {"text": "x", "model": model.pk}).status_code == 204


def test_nobody_counts_without_logging_in_or_by_another_method(client, owner, model):
    assert client.post(ADDRESS, {"text": "x"})["Location"].startswith("/accounts/login/?next=")
    client.force_login(owner)
    assert client.get(ADDRESS).status_code == 405


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_what_could_not_be_sent_is_not_counted(browse, model, letter):
    longest = letter * (TEXT_BYTES // len(letter.encode()))
    assert browse.post(ADDRESS, {"text": longest}).status_code == 200
    assert browse.post(ADDRESS, {"text": longest + "x"}).status_code == 413


def test_in_a_crowd_some_are_sent_away_at_once(browse, model, monkeypatch):
    free = threading.BoundedSemaphore(1)
    monkeypatch.setattr(view, "free_counters", free)
    with free:
        assert browse.post(ADDRESS, {"text": "x"}).status_code == 503
    assert browse.post(ADDRESS, {"text": "x", "conversation": uuid.uuid4()}).status_code == 404
    assert browse.post(ADDRESS, {"text": "x"}).status_code == 200, "whoever failed has made room, too"


@pytest.mark.parametrize(
    ("window", "words"),
    [(512, "512"), (1000, "1k"), (4096, "4k"), (8192, "8k"), (16_385, "16k"), (32_000, "32k"), (32_768, "32k"),
     (128_000, "128k"), (131_072, "128k"), (200_000, "200k"), (1_000_000, "1M"), (1_047_576, "1M"), (1_048_576, "1M"),
     (1_500_000, "1.5M"), (2_097_152, "2M")],
)  # fmt: skip
def test_a_window_is_called_what_people_call_it(window, words):
    assert view.in_thousands(window) == words


def test_large_numbers_have_their_marks():
    found = view.shown(Measure(117_760, 90_000, 128_000))
    assert (found["words"], found["percent"], found["near"]) == ("117,760 of 128k tokens", 92, True)
    assert view.shown(Measure(1, 0, None))["words"] == "1 token"
    assert view.shown(Measure(0, 0, 128_000, left_out=1))["words"] == "0 of 128k tokens, 1 turn left out"


def test_measuring_does_not_change_anything(owner, model, django_assert_max_num_queries):
    conversation = make_conversation(owner, model, turns=30)
    measure(owner.pk, "x", None, conversation.pk)
    with django_assert_max_num_queries(5) as captured:
        measure(owner.pk, "xy", None, conversation.pk)
    assert all(query["sql"].startswith("SELECT") for query in captured.captured_queries)
    assert Conversation.objects.count() == 1
