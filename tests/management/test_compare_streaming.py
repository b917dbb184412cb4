"""`manage.py compare_streaming`: a table of what streaming saves, by a model of the portal or the built-in one."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command

from chat.management.commands.compare_streaming import PROMPTS
from chat.models import LanguageModel, Provider, UsageRecord
from tests.support.local_model import needs_model
from tests.support.upstream import Upstream, answer, document, error, stream
from tests.support.upstream.script import DONE, Fin, Pause, Script, Stall, text_chunk

COUNT, SUM, LEGACY = PROMPTS
NAME = "counter"
WIDTH = 100


def whole(text: str, usage: tuple[int, int] = (36, 5), seconds: float = 0.0) -> Script:
    """An answer in one piece, after so many seconds."""
    body = {
        "model": NAME,
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }
    return (Pause(seconds), *document(body))


WARM_UP = (whole("Hello!"), answer("Hello!"))


@pytest.fixture
def provider(db: None, upstream: Upstream) -> Provider:
    made = Provider(name="mine", base_url=upstream.base_url, private_network=True)
    made.set_credentials("sk-test-0123456789abcdef")
    made.save()
    return made


@pytest.fixture
def model(provider: Provider) -> LanguageModel:
    return LanguageModel.objects.create(provider=provider, name=NAME, label="The counter")


def compare(*arguments: str) -> str:
    """What it prints to stdout."""
    out = io.StringIO()
    call_command("compare_streaming", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def compared(*arguments: str) -> list[dict]:
    return json.loads(compare(*arguments, "--json"))["prompts"]


def test_it_asks_the_prompts_of_the_notebook_in_both_ways_after_a_tiny_request_each(
    model: LanguageModel, upstream: Upstream
):
    model.default_options = {"top_p": 0.5, "temperature": 0.9}
    model.save()
    upstream.play(NAME, *WARM_UP, *(whole("1"), answer("1")) * 4)
    compare("--model", NAME, "--runs", "2")

    asked = [(one.prompt, one.body["stream"]) for one in upstream.requests]
    assert asked[:2] == [("Hi", False), ("Hi", True)]
    assert asked[2:] == [(text, way) for text in (COUNT.text, SUM.text) for _ in range(2) for way in (False, True)]
    for one in upstream.requests:
        assert one.path == "/v1/chat/completions"
        assert (one.body["temperature"], one.body["top_p"]) == (0, 0.5)


def test_the_times_tokens_and_deltas_are_those_of_the_answers(model: LanguageModel, upstream: Upstream):
    streamed = answer("1", ", ", Pause(0.3), "2", usage=(36, 3))
    upstream.play(NAME, *WARM_UP, whole("1, 2", (36, 3), 0.4), streamed, whole("Two.", (18, 2)), answer("Two."))
    count, total = compared("--model", NAME, "--runs", "1")

    assert count["prompt"] == COUNT.text
    assert count["first_words_ms"] < 200 < 300 <= count["whole_stream_ms"]
    assert count["whole_answer_ms"] >= 400
    assert count["saved_ms"] == count["whole_answer_ms"] - count["first_words_ms"]
    assert 50 < count["saved_percent"] <= 100
    assert (count["deltas"], count["prompt_tokens"], count["completion_tokens"]) == (3, 36, 3)
    assert count["usage_source"] == "reported"
    assert 2 < count["tokens_per_second"] <= 6.7  # two tokens after the first, in 0.3 s or more
    assert count["same_text"]
    assert total["tokens_per_second"] is None  # one delta has no speed


def test_the_answers_can_be_cut_sooner(model: LanguageModel, upstream: Upstream):
    upstream.play(NAME, *WARM_UP, *(whole("1"), answer("1")) * 2)
    compare("--model", NAME, "--runs", "1", "--max-tokens", "60")

    assert [one.body["max_tokens"] for one in upstream.requests] == [16, 16, 60, 60, 60, 60]


def test_a_slow_run_does_not_count_when_there_are_three(model: LanguageModel, upstream: Upstream):
    quick = (whole("1"), answer("1"))
    slow = (whole("1", seconds=1.0), answer(Pause(1.0), "1"))
    upstream.play(NAME, *WARM_UP, *quick, *slow, *quick, *quick * 3)

    assert all(one["whole_answer_ms"] < 900 and one["whole_stream_ms"] < 900 for one in compared("--model", NAME))


def test_the_table_is_aligned_and_fits_on_the_screen(model: LanguageModel, upstream: Upstream):
    upstream.play(NAME, *WARM_UP, whole("1, 2"), answer("1", Pause(0.05), "2"), whole("Two."), answer("Two."))
    lines = compare("--model", NAME, "--runs", "1").splitlines()

    assert lines[0] == f"{NAME}, temperature 0, one run"
    assert max(map(len, lines)) <= WIDTH
    heading, count, total = lines[4:7]
    assert heading.startswith("prompt ")
    assert re.fullmatch(
        r"Count to 100 \* +\d\.\d\d +\d\.\d\d +\d\.\d\d +-?\d\.\d\d +-?\d+ % +2 +7 +5 +reported +\d+\.\d", count
    )
    assert re.match(r"What's 1\+1\? .* -$", total)
    assert len({len(line) for line in (heading, count, total)}) == 1
    assert lines[-1].startswith("* ")  # "1, 2" and "12" are not the same answer


def test_who_counted_the_tokens_is_said(model: LanguageModel, upstream: Upstream):
    model.encoding = "cl100k_base"
    model.save()
    upstream.play(NAME, *WARM_UP, *(whole("1, 2"), answer("1, ", "2", usage=None)) * 2)
    count = compared("--model", NAME, "--runs", "1")[0]

    assert count["usage_source"] == "counted"
    assert (count["prompt_tokens"], count["completion_tokens"]) == (36, 4)  # as the notebook prints it


def test_a_server_of_completions_is_asked_to_go_on(model: LanguageModel, provider: Provider, upstream: Upstream):
    provider.dialect = "completions"
    provider.save()
    body = {"choices": [{"index": 0, "text": "4,5", "finish_reason": "length"}]}
    streamed = stream(text_chunk("4,"), text_chunk("5", finish="length"), DONE)
    upstream.play(NAME, *(document(body), streamed) * 2)
    (only,) = compared("--model", NAME, "--runs", "1")

    assert only["prompt"] == LEGACY.text
    assert only["prompt_tokens"] == 6
    asked = upstream.requests[-1]
    assert asked.path == "/v1/completions"
    assert (asked.body["prompt"], asked.body["max_tokens"], asked.body["temperature"]) == ("1,2,3,", 193, 0)


@pytest.mark.parametrize("name", [NAME, "The counter", f"mine/{NAME}"])
def test_a_model_has_three_names(name: str, model: LanguageModel, upstream: Upstream):
    upstream.play(NAME, *WARM_UP, *(whole("1"), answer("1")) * 2)

    assert len(compared("--model", name, "--runs", "1")) == 2


def test_nothing_is_stored(model: LanguageModel, upstream: Upstream):
    upstream.play(NAME, *WARM_UP, *(whole("1"), answer("1")) * 2)
    compare("--model", NAME, "--runs", "1")

    assert not UsageRecord.objects.exists()


# What goes wrong ──────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(*arguments: str) -> str:
    """What is said before it ends with exit code 1."""
    with pytest.raises(CommandError) as refused:
        compare(*arguments)
    assert refused.value.returncode == 1
    return str(refused.value)


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        (
            [error(401, "Incorrect API key", code="invalid_api_key")],
            "The model server refused our key. Please tell your admin. (upstream_auth: Incorrect API key)",
        ),
        (
            [error(400, "temperature must be 1")],
            "The model server rejected the request: temperature must be 1 (upstream_rejected)",
        ),
        ([*WARM_UP, whole("1"), (*stream("1", whole=False), Fin())], "The connection to the model broke off."),
        ([*WARM_UP, whole("")], "The model returned no text. (answer_empty)"),
        ([*WARM_UP, whole("1"), stream("1", Stall())], "Stopped at the limit of 0.5 s."),
    ],
    ids=["key", "option", "cut", "empty", "endless"],
)
def test_a_failure_is_a_sentence(
    scripts: list[Script], said: str, model: LanguageModel, provider: Provider, upstream: Upstream
):
    provider.total_seconds = 0.5
    provider.save()
    upstream.play(NAME, *scripts)

    assert refusal("--model", NAME).startswith(said)


def test_an_unknown_model_is_refused_with_those_there_are(model: LanguageModel, provider: Provider):
    LanguageModel.objects.create(provider=provider, name="sleeper", enabled=False)
    LanguageModel.objects.create(provider=provider, name="other")
    for name in ("nobody", "sleeper"):
        assert refusal("--model", name) == (
            f"There is no enabled model {name!r}. There are: {NAME} (The counter), other"
        )


def test_a_portal_without_models_says_so(db: None):
    assert refusal("--model", "any") == "There is no enabled model 'any'. The portal has none."


def test_a_name_of_two_models_is_not_guessed(model: LanguageModel, upstream: Upstream):
    second = Provider.objects.create(name="yours", base_url=upstream.base_url)
    LanguageModel.objects.create(provider=second, name=NAME)

    assert refusal("--model", NAME) == (f"There are several models {NAME!r}; say which: mine/{NAME}, yours/{NAME}")


def test_a_lost_key_is_told_apart(model: LanguageModel, settings):
    settings.PORTAL_KEYRING = [Fernet.generate_key().decode()]

    assert "PORTAL_KEYRING" in refusal("--model", NAME)


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_a_number_of_runs_that_is_none_is_refused(runs: str):
    with pytest.raises(CommandError):
        call_command("compare_streaming", f"--runs={runs}", stdout=io.StringIO())


def test_the_built_in_model_is_not_started_when_the_settings_leave_it_out(settings):
    settings.PORTAL_LOCAL_MODEL = False

    assert "--model" in refusal()


# The built-in model ───────────────────────────────────────────────────────────────────────────────────────────────────


@needs_model
@pytest.mark.slow
@pytest.mark.timeout(300)  # its one thread shares the cores with everything else that runs
def test_the_built_in_model_answers_all_three():
    rows = compared("--runs", "1", "--max-tokens", "60")

    assert [row["prompt"] for row in rows] == [prompt.text for prompt in PROMPTS]
    for row in rows:
        assert row["usage_source"] == "reported"
        assert 0 < row["first_words_ms"] < row["whole_stream_ms"]
        assert row["deltas"] > 1
        assert row["same_text"]
    assert max(row["completion_tokens"] for row in rows) <= 60


@needs_model
def test_ctrl_c_ends_it_and_its_child_without_a_traceback():
    process = subprocess.Popen(
        [sys.executable, "manage.py", "compare_streaming"],
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")), daemon=True)
    reader.start()
    try:
        until = time.monotonic() + 60
        while not any("Warming up" in line for line in lines):
            assert time.monotonic() < until and process.poll() is None, lines
            time.sleep(0.02)
        (child,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        reader.join(10)
        assert lines[-1] == "Stopped.\n"
        assert "Traceback" not in "".join(lines)
        assert process.stdout.read() == ""
        assert not Path(f"/proc/{child}").exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def children(pid: int) -> list[int]:
    """The processes that it started."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            parent = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            found.append(int(name))
    return found
