"""Every check against servers of which the truth is known: one that behaves, and one for each quirk."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest

from chat.diagnosis import CHECKS, RESULTS, Exchange, Finding, estimate, examine, settings_of
from chat.local_model import MODEL_NAME, LocalModel
from chat.pricing import Rate
from chat.providers import Endpoint
from tests.support.asking import KEY
from tests.support.examining import LIST, METRICS, SLOTS, WELL, detail_of, examined, in_words, listed
from tests.support.local_model import needs_model
from tests.support.upstream import Gate, Stall, Upstream, answer, chunk, document, error, head, html, raw_body, stream
from tests.support.upstream.script import Send

PRESENT: dict[str, Any] = {
    "usage_mode": "auto",
    "refused_fields": {},
    "max_tokens_field": "max_tokens",
    "whole_answers": False,
    "dialect": "chat_completions",
    "think_tags": "kept",
    "context_window": 8192,
}

NO_ANSWER = dict.fromkeys(
    ["time_saved", "really_streams", "include_usage", "count", "stop", "max_tokens", "cancel"], "skipped no_answer"
)
NO_STREAM = dict.fromkeys(["time_saved", "really_streams", "include_usage", "cancel"], "skipped no_stream")

Cell = tuple[str, dict[str, str], dict[str, Any]]
CELLS: list[Cell] = [
    # quirks, what differs from a server that behaves, what is suggested
    ("", {}, {}),
    ("no-stream", {**NO_STREAM, "streamed_answer": "bad upstream_rejected"}, {"whole_answers": True}),
    ("whole", {**NO_STREAM, "streamed_answer": "odd whole"}, {"whole_answers": True}),
    ("no-whole", {"whole_answer": "bad upstream_rejected"}, {}),
    ("one-piece", {"time_saved": "odd nothing", "really_streams": "bad one_piece"}, {}),
    ("lumps", {"time_saved": "odd nothing", "really_streams": "odd lumps"}, {}),
    ("cut", {**NO_STREAM, "streamed_answer": "bad upstream_incomplete"}, {"whole_answers": True}),
    ("empty", {**NO_ANSWER, "whole_answer": "bad answer_empty", "streamed_answer": "bad answer_empty",
               "completions": "good absent"}, {}),
    ("usage-finish", {"include_usage": "good came finish_chunk"}, {}),
    ("usage-every", {"include_usage": "good came every_chunk"}, {}),
    ("usage-groq", {"include_usage": "good came x_groq"}, {}),
    ("usage-choice", {"include_usage": "good came choice"}, {}),
    ("usage-never", {"include_usage": "odd never never", "count": "skipped no_usage"}, {}),
    ("usage-wrong", {"count": "odd differs"}, {}),
    ("refuses-usage", {"include_usage": "odd refused never"}, {"usage_mode": "never"}),
    ("tells-unasked", {"include_usage": "good unasked finish_chunk"}, {"usage_mode": "never"}),
    ("refuses-max-tokens", {"max_tokens": "odd renamed"}, {"max_tokens_field": "max_completion_tokens"}),
    ("other-limit", {"max_tokens": "odd renamed"}, {"max_tokens_field": "max_completion_tokens"}),
    ("ignores-limit", {"max_tokens": "bad ignored"}, {}),
    ("refuses-limit", {"max_tokens": "odd refused"}, {"refused_fields": {"MODEL": ["max_tokens"]}}),
    ("refuses-stop", {"stop": "odd refused"}, {"refused_fields": {"MODEL": ["stop"]}}),
    ("ignores-stop", {"stop": "bad ignored"}, {}),
    ("returns-stop", {"stop": "odd returned"}, {}),
    ("no-completions", {"completions": "good absent"}, {}),
    ("no-chat", {**NO_ANSWER, "whole_answer": "bad upstream_not_found", "streamed_answer": "bad upstream_not_found"},
     {"dialect": "completions"}),
    ("no-chat+no-completions", {**NO_ANSWER, "whole_answer": "bad upstream_not_found",
                                "streamed_answer": "bad upstream_not_found", "completions": "good absent"}, {}),
    ("limits", {"rate_limits": "good told"}, {}),
    ("busy", {**NO_ANSWER, "whole_answer": "bad upstream_rate_limited", "streamed_answer": "bad upstream_rate_limited",
              "completions": "odd upstream_rate_limited", "rate_limits": "odd upstream_rate_limited"}, {}),
    ("thinks", {"whole_answer": "odd thinks", "streamed_answer": "odd thinks"}, {"think_tags": "tagged"}),
    ("thinks-opened", {"whole_answer": "odd thinks", "streamed_answer": "odd thinks"}, {"think_tags": "opened"}),
    ("html", {**NO_ANSWER, "auth": "skipped unclear", "whole_answer": "bad upstream_bad_response",
              "streamed_answer": "bad upstream_bad_response", "completions": "good absent"}, {}),
    ("wrong-key", {**dict.fromkeys(CHECKS[3:], "skipped key_refused"), "auth": "bad upstream_auth"}, {}),
    ("refuses-usage+usage-groq+refuses-max-tokens+thinks+no-completions",
     {"include_usage": "good unasked x_groq", "max_tokens": "odd renamed", "whole_answer": "odd thinks",
      "streamed_answer": "odd thinks", "completions": "good absent"},
     {"usage_mode": "never", "max_tokens_field": "max_completion_tokens", "think_tags": "tagged"}),
]  # fmt: skip


@pytest.mark.parametrize(("quirks", "differs", "suggested"), CELLS, ids=[cell[0] or "well" for cell in CELLS])
async def test_what_is_found_is_the_truth(
    quirks: str, differs: dict[str, str], suggested: dict[str, Any], upstream: Upstream
):
    model = f"behaving:{quirks}" if quirks else "behaving"
    upstream.play(LIST, listed({"id": model, "context_length": 8192}))
    findings = await examined(upstream.base_url, model)

    assert in_words(findings) == WELL | differs
    assert [finding.check for finding in findings] == list(CHECKS)
    assert {finding.result for finding in findings} <= set(RESULTS)
    assert all(finding.seconds >= 0 for finding in findings)
    settings = settings_of(findings, PRESENT)
    assert settings == {
        name: {model: value["MODEL"]} if name == "refused_fields" else value for name, value in suggested.items()
    }
    # With these settings nothing more is suggested.
    assert settings_of(await examined(upstream.base_url, model, **as_endpoint(settings)), PRESENT | settings) == {}


def as_endpoint(settings: dict[str, Any]) -> dict[str, Any]:
    fields = dict(settings)
    if "refused_fields" in fields:
        refused = fields["refused_fields"].items()
        fields["refused_fields"] = frozenset((model, name) for model, names in refused for name in names)
    return fields


async def test_the_figures_are_those_of_the_server(upstream: Upstream):
    upstream.play(LIST, listed({"id": "behaving:limits", "context_length": 8192}, {"id": "another"}))
    findings = await examined(upstream.base_url, "behaving:limits")

    assert detail_of(findings, "address")["addresses"] == ["127.0.0.1"]
    assert detail_of(findings, "models") == {
        "case": "listed", "model": "behaving:limits", "count": 2, "context_window": 8192,
    }  # fmt: skip
    assert detail_of(findings, "streamed_answer")["text"].startswith("1, 2, 3, 4")
    assert detail_of(findings, "really_streams")["deltas"] == 58
    saved = detail_of(findings, "time_saved")
    assert 0 < saved["first_seconds"] < saved["whole_seconds"] and saved["percent"] < 100
    usage = detail_of(findings, "include_usage")
    assert (usage["asked"], usage["prompt_tokens"], usage["completion_tokens"]) == ("taken", 15, 58)
    assert detail_of(findings, "count")["prompt"] == {"ours": 15, "theirs": 15, "percent": 0}
    assert detail_of(findings, "max_tokens")["tokens"] == 16
    assert detail_of(findings, "rate_limits")["headers"] == {
        "x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
    }  # fmt: skip


async def test_it_takes_no_more_than_was_said_before(upstream: Upstream):
    asked: list[Exchange] = []
    endpoint = Endpoint(upstream.base_url, private_network=True)
    async with aclosing(examine(endpoint, "behaving:ignores-limit", note=asked.append)) as findings:
        _ = [finding async for finding in findings]
    limits = [request.body["max_tokens"] for request in upstream.requests if request.method == "POST" and
              "max_tokens" in request.body]  # fmt: skip
    told = estimate()
    assert len(asked) == sum(request.method == "POST" for request in upstream.requests) <= told.requests
    assert max(limits) <= 64 and sum(limits) <= told.completion_tokens
    assert sum(exchange.usage.total_tokens for exchange in asked if exchange.usage) <= told.tokens
    assert all(exchange.reached_the_model for exchange in asked)


def test_what_it_may_cost_is_told_where_prices_are_known():
    told = estimate(Rate(Decimal("0.15"), Decimal("0.60")))
    assert told.money is not None
    assert told.money == (told.prompt_tokens * Decimal("0.15") + told.completion_tokens * Decimal("0.60")) / 1_000_000
    assert estimate().money is None


# Cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def slots(*busy: bool, window: int = 4096) -> Any:
    return document([{"id": number, "n_ctx": window, "is_processing": one} for number, one in enumerate(busy)])


def metrics(running: float) -> Any:
    text = f'# HELP vllm:num_requests_running Number\nvllm:num_requests_running{{model_name="m"}} {running}\nother 7\n'
    return raw_body(text.encode(), headers={"Content-Type": "text/plain"})


IDLE, BUSY = slots(False, False), slots(True, False)


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ({SLOTS: (IDLE, IDLE, IDLE, BUSY, BUSY, IDLE)}, "good ended"),
        ({SLOTS: (IDLE, IDLE, IDLE, BUSY)}, "bad runs_on"),
        ({SLOTS: (IDLE,)}, "skipped too_quick"),
        ({SLOTS: (slots(True, False), BUSY, BUSY, slots(True, True), BUSY)}, "good ended"),
        ({SLOTS: error(501), METRICS: (metrics(0), metrics(0), metrics(1.0), metrics(0))}, "good ended"),
        ({SLOTS: error(404), METRICS: (metrics(2), metrics(2), metrics(3))}, "bad runs_on"),
        ({SLOTS: html(200), METRICS: html(200)}, "skipped unseen"),
        ({SLOTS: document([1, {}]), METRICS: error(401)}, "skipped unseen"),
    ],
)  # fmt: skip
async def test_whether_leaving_ends_the_work_is_seen_where_the_server_shows_it(
    pages: dict[str, Any], found: str, upstream: Upstream
):
    upstream.play(LIST, listed({"id": "behaving"}))
    for key, scripts in pages.items():
        upstream.play(key, *(scripts if isinstance(scripts[0], tuple) else (scripts,)))
    findings = await examined(upstream.base_url)
    assert in_words(findings)["cancel"] == found
    left = next((request for request in upstream.requests if "200" in request.prompt), None)
    if left is not None:
        assert left.closed_how in ("fin", "rst") and left.ended_at is None
    assert all(
        request.headers["authorization"] == f"Bearer {KEY}" for request in upstream.requests if request.method == "GET"
    )


async def test_a_running_llama_cpp_has_the_last_word_on_its_window(upstream: Upstream):
    upstream.play(LIST, listed({"id": "behaving", "meta": {"n_ctx_train": 131072}}))
    upstream.play(SLOTS, slots(False, window=2048))
    findings = await examined(upstream.base_url)
    assert detail_of(findings, "models")["context_window"] == 2048
    assert settings_of(findings, PRESENT) == {"context_window": 2048}
    assert settings_of(findings, PRESENT | {"context_window": None}) == {"context_window": 2048}
    assert settings_of(findings, PRESENT | {"context_window": 1000}) == {}, "an admin may want it smaller"


async def test_closing_the_examination_closes_all_connections(upstream: Upstream):
    upstream.play(LIST, listed({"id": "slow"}))
    upstream.play("slow", answer("1, 2", Gate("here"), ", 3"))
    asked: list[Exchange] = []

    async def all_of_it() -> None:
        async with aclosing(
            examine(Endpoint(upstream.base_url, private_network=True), "slow", note=asked.append)
        ) as findings:
            async for _ in findings:
                pass

    task = asyncio.create_task(all_of_it())
    request = await asyncio.to_thread(upstream.wait_for_gate, "here")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(upstream.wait_for_close, request)
    (exchange,) = asked
    assert exchange.is_cut and exchange.reached_the_model
    await asyncio.to_thread(upstream.wait_for, lambda: all(one.closed_at for one in upstream.connections))


async def test_leaving_between_two_checks_leaves_nothing_open(upstream: Upstream):
    async with aclosing(examine(Endpoint(upstream.base_url, private_network=True), "behaving")) as findings:
        async for finding in findings:
            if finding.check == "models":
                break
    await asyncio.to_thread(upstream.wait_for, lambda: all(one.closed_at for one in upstream.connections))


# Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_question_lasts_longer_than_it_may(upstream: Upstream):
    upstream.play(LIST, listed({"id": "deaf"}))
    upstream.play("deaf", (Stall(),))
    asked: list[Exchange] = []
    findings = [
        finding
        async for finding in examine(
            Endpoint(upstream.base_url, private_network=True, api_key=KEY), "deaf", seconds=0.2, note=asked.append
        )
    ]
    found = in_words(findings)
    assert found["whole_answer"] == found["streamed_answer"] == "bad upstream_timeout"
    assert found["completions"] == "odd upstream_timeout"
    assert sum(finding.seconds for finding in findings) < 60  # the limits of an endpoint are 30 s and more
    assert [exchange.reached_the_model for exchange in asked] == [True, True, True]


async def test_an_endless_answer_is_left(upstream: Upstream):
    upstream.play("endless", stream(*[chunk("word " * 100)] * 100, Stall()))
    found = in_words(await examined(upstream.base_url, "endless"))
    assert found["streamed_answer"] == "good came"


async def test_neither_key_nor_control_characters_are_kept(upstream: Upstream):
    said = f"\x1b[31m<script>alert(1)</script>\x00 {'x' * 500}"
    upstream.play(LIST, error(500, f"Key {KEY} is bad"))
    upstream.play("m", answer(said))
    findings = await examined(upstream.base_url, "m")
    everything = "".join(str(dict(finding.detail)) for finding in findings)
    assert KEY not in everything and KEY[-4:] not in everything
    text = detail_of(findings, "streamed_answer")["text"]
    assert text.startswith("[31m<script>alert(1)</script> xxx") and len(text) == 80 and text.isprintable()


async def test_headers_come_back_short(upstream: Upstream):
    headers = {"Content-Type": "text/event-stream", "X-RateLimit-Reset": "y" * 5000}
    upstream.play("m", answer("1, 2, 3, 4, 5", headers=headers))
    told = detail_of(await examined(upstream.base_url, "m"), "rate_limits")["headers"]
    assert list(told) == ["x-ratelimit-reset"] and len(told["x-ratelimit-reset"]) <= 100


async def test_reasoning_alone_is_an_answer_and_silence_at_the_limit_is_odd(upstream: Upstream):
    thinking = stream(chunk(reasoning="Let me "), chunk(reasoning="count"), chunk(finish="length"), b"data: [DONE]\n\n")
    upstream.play("thinker", thinking)
    assert in_words(await examined(upstream.base_url, "thinker"))["streamed_answer"] == "good came"
    upstream.play("hidden", stream(chunk(finish="length", usage=(15, 64)), b"data: [DONE]\n\n"))
    assert in_words(await examined(upstream.base_url, "hidden"))["streamed_answer"] == "odd silent"


async def test_answers_that_always_end_early_prove_no_limit(upstream: Upstream):
    upstream.play("brief", answer("one, ", "two", finish="length"))
    assert in_words(await examined(upstream.base_url, "brief"))["max_tokens"] == "skipped unclear"


async def test_a_redirect_is_said(upstream: Upstream):
    moved = (Send(head(301, {"Location": "https://127.0.0.1/", "Content-Length": "0"})),)
    upstream.play(LIST, moved)
    upstream.play("m", moved)
    found = in_words(await examined(upstream.base_url, "m"))
    assert found["models"] == "odd upstream_redirect" and found["whole_answer"] == "bad upstream_redirect"


# Settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_refused_before_and_is_taken_now_is_sent_again(upstream: Upstream):
    upstream.play(LIST, listed({"id": "behaving", "context_length": 8192}))
    refused = {"": ["stream_options"], "behaving": ["stop", "max_tokens", "temperature"], "other": ["stop"]}
    present = PRESENT | {"refused_fields": refused, "usage_mode": "never", "whole_answers": True}
    findings = await examined(upstream.base_url, **as_endpoint({"refused_fields": refused}), whole_answers=True)
    assert in_words(findings) == WELL
    assert settings_of(findings, present) == {
        "refused_fields": {"behaving": ["temperature"], "other": ["stop"]},
        "usage_mode": "auto",
        "whole_answers": False,
    }
    assert refused[""] == ["stream_options"], "what is present stays as it is"


async def test_whole_answers_that_were_chosen_are_no_fault(upstream: Upstream):
    findings = await examined(upstream.base_url, "behaving:no-stream", whole_answers=True)
    assert in_words(findings)["streamed_answer"] == "odd upstream_rejected"


async def test_a_provider_of_base_models_is_asked_by_its_own_endpoint(upstream: Upstream):
    model = "behaving:no-chat"
    upstream.play(LIST, listed({"id": model, "context_length": 8192}))
    findings = await examined(upstream.base_url, model, dialect="completions")
    # A plain text has no overhead of messages.
    assert in_words(findings) == WELL | {"completions": "good in_use", "count": "odd differs"}
    assert {re.sub(r".*/v1/", "", request.path) for request in upstream.requests if request.method == "POST"} == {
        "completions"
    }


@pytest.mark.parametrize(
    ("code", "is_told"),
    [
        ("upstream_rejected", True), ("upstream_incomplete", True), ("upstream_bad_response", True),
        ("upstream_error", True), ("upstream_rate_limited", False), ("upstream_quota", False),
        ("upstream_overloaded", False), ("upstream_unreachable", False), ("upstream_dns", False),
    ],
)  # fmt: skip
def test_a_stream_that_failed_for_the_moment_tells_nothing_of_streams(code: str, is_told: bool):
    findings = [
        Finding("whole_answer", "good", detail={"case": "came"}),
        Finding("streamed_answer", "bad", detail={"code": code}),
    ]
    assert settings_of(findings, PRESENT) == ({"whole_answers": True} if is_told else {})


def test_nothing_is_suggested_without_findings():
    assert settings_of([], PRESENT) == {}
    assert settings_of([]) == {}


# A real server ────────────────────────────────────────────────────────────────────────────────────────────────────────


@needs_model
async def test_the_built_in_model_is_well():
    model = LocalModel()
    await model.start()
    try:
        assert await model.ready()
        settings = {"api_key": model.api_key, "extra_body": {"temperature": 0}}
        findings = await examined(model.base_url, MODEL_NAME, seconds=60, **settings)
    finally:
        await model.stop()
    found = in_words(findings)
    print(*(f"{finding.check}: {finding.result} {dict(finding.detail)}" for finding in findings), sep="\n")
    assert "bad" not in {finding.result for finding in findings}
    assert {name: found[name] for name in ("auth", "models", "streamed_answer", "really_streams", "max_tokens")} == {
        name: WELL[name] for name in ("auth", "models", "streamed_answer", "really_streams", "max_tokens")
    }
    assert found["include_usage"] == "good came own_chunk"
    assert detail_of(findings, "models")["context_window"] == 2048
