"""The built-in model's process: it answers, it comes back, and it never outlives the portal."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest
from django.conf import settings

from chat import environment_models, local_model
from chat.local_model import LocalModel
from tests.support.local_model import HERE, needs_model

PARENT = textwrap.dedent(
    """
    import asyncio, sys
    from chat.local_model import LocalModel

    async def main():
        model = LocalModel()
        await model.start()
        print(model.pid, await model.ready(), flush=True)
        await asyncio.sleep(60)

    asyncio.run(main())
    """
)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_running(pid):
        time.sleep(0.02)
    return not is_running(pid)


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def ask(model, api_key):
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "temperature": 0}
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{model.base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


@needs_model
async def test_it_answers_those_who_have_its_key_and_nobody_else():
    model = LocalModel()
    await model.start()
    try:
        assert await model.ready()
        answer = await asyncio.to_thread(ask, model, model.api_key)
        assert answer["choices"][0]["message"]["content"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(ask, model, "wrong")
        assert refused.value.code == 401
        refused.value.close()
    finally:
        await model.stop()


@needs_model
async def test_its_key_stands_neither_in_its_command_line_nor_in_its_environment():
    model = LocalModel()
    await model.start()
    try:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{model.pid}/{name}", "rb") as file:
                content = file.read()
            assert model.api_key.encode() not in content
            assert settings.SECRET_KEY.encode() not in content
    finally:
        await model.stop()


@needs_model
async def test_stop_ends_it_and_is_harmless_twice():
    model = LocalModel()
    await model.start()
    pid = model.pid
    await model.stop()
    await model.stop()

    assert not is_running(pid)
    assert model.pid is None


@needs_model
async def test_it_comes_back_with_the_same_address_and_key_when_it_dies():
    model = LocalModel()
    await model.start()
    try:
        assert await model.ready()
        address, first = model.base_url, model.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: model.pid not in (None, first))
        assert await model.ready()
        assert model.base_url == address
        assert (await asyncio.to_thread(ask, model, model.api_key))["choices"]
    finally:
        await model.stop()


async def test_after_three_restarts_it_stays_away_and_the_log_says_so(tmp_path, caplog):
    if not HERE:
        pytest.skip("the built-in model's packages are not installed (./run.py setup)")
    (tmp_path / "broken.gguf").write_bytes(b"no model")
    model = LocalModel(tmp_path / "broken.gguf")
    await model.start()
    try:
        assert not await model.ready(seconds=30)
        messages = [record.getMessage() for record in caplog.records if record.name == "chat.local_model"]
        assert len(messages) == local_model.RESTARTS + 1
        assert "stays away" in messages[-1]
    finally:
        await model.stop()


@needs_model
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent_however_that_ends(number):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR)
    try:
        pid, ready = parent.stdout.readline().split()
        assert ready == "True"
        assert is_running(pid)
        parent.send_signal(number)
        parent.wait(10)
        assert gone_within(pid, 3)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


@needs_model
def test_another_child_of_the_portal_does_not_keep_it_alive():
    """A process started later must not have inherited the pipe's other end."""
    other = "import subprocess; print(subprocess.Popen(['sleep', '30'], close_fds=False).pid, flush=True)"
    script = PARENT.replace("await asyncio.sleep(60)", f"{other}; await asyncio.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR)
    sleeper = None
    try:
        pid = parent.stdout.readline().split()[0]
        sleeper = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert gone_within(pid, 3)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        if sleeper:
            with contextlib.suppress(ProcessLookupError):
                os.kill(sleeper, signal.SIGKILL)


def test_the_child_does_without_django():
    script = "import sys, chat.local_model; sys.exit('django' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], cwd=settings.BASE_DIR).returncode == 0


def test_it_is_not_offered_when_the_settings_leave_it_out(settings):
    settings.PORTAL_LOCAL_MODEL = False

    assert not LocalModel.available()


def test_the_provider_of_the_portal_asks_for_the_model_that_is_served():
    assert local_model.MODEL_NAME == environment_models.LOCAL_MODEL
    assert local_model.MODEL_FILE.stem == local_model.MODEL_NAME
