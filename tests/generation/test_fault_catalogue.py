"""The catalogue of upstream faults, row by row, as generations: stored, counted, followed.

Each row runs with a follower, with one that reconnects during the fault, without any, and with its bytes one by one.
The rows that wait for a limit of time run side by side, before the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sqlite3
import ssl
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from chat.generation.store import STORED
from chat.models import Generation
from chat.protocol import Delta, Frame, Snapshot, Status
from chat.providers.transport import ssl_context
from tests.support.adapter_faults import WORLD
from tests.support.asking import KEY
from tests.support.fault_driver import DRIBBLED, MODES, PATH, Driver, Outcome, Reader, counted
from tests.support.generation_faults import BACK_OFF, CASES, DECIDED, Case, Decision, decision, number
from tests.support.generation_faults import DRIBBLED as TO_DRIBBLE
from tests.support.upstream import Fin, Gate, Repeat, Send, Stall, Upstream, answer, bytewise, framed, stream

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_SECONDS = 0.05
"""Between the first requests of two rows that wait: connecting has its limit of time too."""

ROOT = Path(__file__).resolve().parents[2]
CERTIFICATES = ("strange", "expired", "known")

ELSEWHERE = {"60 memory": "tests/providers/test_faults.py::test_60_a_gzip_bomb_costs_no_memory"}
"""What of a row cannot be seen of a generation, and the test that sees it."""

RUNS = [(name, mode) for mode in MODES for name in CASES] + [(name, DRIBBLED) for name in TO_DRIBBLE]
WAITING = sorted((run for run in RUNS if CASES[run[0]].hasty), key=lambda run: number(run[0]) != 57)
"""The one that takes longest comes first."""


@pytest.fixture(scope="module")
def db(django_db_setup, django_db_blocker):
    """One database for the whole module: emptying it takes longer than most rows."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def owner(db):
    with override_settings(PORTAL_USER_RUNNING=0, PORTAL_USER_PROMPTS_PER_MINUTE=0):
        yield get_user_model().objects.create_user("owner").pk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses(upstream_process: Upstream, tmp_path_factory):
    """Where providers are that nothing good comes from, by name."""
    loop, folder = asyncio.get_running_loop(), tmp_path_factory.mktemp("certificates")
    files = {name: certificate(folder, name, days=-1 if name == "expired" else 1) for name in CERTIFICATES}
    trusted = folder / "trusted.pem"
    trusted.write_text("".join(files[name].read_text() for name in ("expired", "known")))
    look_up = socket.getaddrinfo

    def look_up_slowly(host, *args, **kwargs):
        if host in ("slow.invalid", b"slow.invalid"):
            time.sleep(0.2)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(socket, "getaddrinfo", look_up_slowly)
        patch.setenv("SSL_CERT_FILE", str(trusted))
        ssl_context.cache_clear()
        stack.callback(ssl_context.cache_clear)
        ports = {}
        for name, file in files.items():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(file)
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
            stack.callback(server.close)
            ports[name] = server.sockets[0].getsockname()[1]
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield {
            "upstream": upstream_process.base_url,
            "refused": f"http://127.0.0.1:{refusing.getsockname()[1]}/v1",
            "unreachable": "http://[fd12:3456:789a::1]/v1",
            "unknown name": "http://no-such-host.invalid/v1",
            "slow name": "http://slow.invalid/v1",
            "self-signed": f"https://127.0.0.1:{ports['strange']}/v1",
            "expired": f"https://127.0.0.1:{ports['expired']}/v1",
            "wrong name": f"https://localhost:{ports['known']}/v1",
            "plain": upstream_process.base_url.replace("http:", "https:"),
            "deaf": f"https://127.0.0.1:{deaf.getsockname()[1]}/v1",
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver(owner, addresses, upstream_process: Upstream):
    async with Driver(owner, upstream_process, addresses).running() as driver:
        yield driver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waited(request, driver: Driver) -> dict[tuple[str, str], Outcome | BaseException]:
    """What became of the rows that wait for a limit of time."""
    chosen = [
        (item.callspec.params.get("name"), item.callspec.params.get("mode"))
        for item in request.session.items
        if hasattr(item, "callspec")
    ]
    waiting = [run for run in WAITING if run in chosen]
    playing = []
    for name, mode in waiting:
        playing.append(asyncio.create_task(driver.play(name, mode)))
        await asyncio.sleep(START_SECONDS)
    return dict(zip(waiting, await asyncio.gather(*playing, return_exceptions=True), strict=True))


def certificate(folder: Path, name: str, days: int) -> Path:
    """A self-signed one for 127.0.0.1 that is good for so many days from now, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    until = datetime.now(UTC) + timedelta(days=days)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - timedelta(days=9))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    unlocked = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / f"{name}.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *unlocked)
    )
    return file


@pytest.mark.parametrize(("name", "mode"), [pytest.param(*run, id=", ".join(run)) for run in RUNS])
async def test_a_fault_becomes_what_the_catalogue_says(name, mode, driver: Driver, waited, upstream: Upstream):
    outcome = waited[name, mode] if CASES[name].hasty else await driver.play(name, mode)
    if isinstance(outcome, BaseException):
        raise outcome
    check(CASES[name], decision(name), outcome)


STOPPED_WITHIN = 2.0
STOPPED_DURING = [name for name in CASES if (number(name) or 0) in range(52, 59)]


@pytest.mark.parametrize("name", STOPPED_DURING)
async def test_a_stop_during_a_fault_keeps_the_text_and_closes_the_connection(name, driver: Driver, upstream: Upstream):
    case, model, reader = replace(CASES[name], hasty=False, is_prefix=True, finish=None), f"{name}, stopped", Reader()
    generation = await driver.begin(model, case)
    await driver.follow(generation, reader, lambda frame: reader.seq > 0 if case.text else is_phase(frame, "waiting"))
    (request,) = await asyncio.to_thread(upstream.wait_for_requests, 1, model)
    async with asyncio.timeout(STOPPED_WITHIN):
        await driver.runner.stop(driver.owner, generation)
        await driver.follow(generation, reader)
        await asyncio.to_thread(upstream.wait_for_close, request, STOPPED_WITHIN)
    assert request.closed_how in ("fin", "rst")
    check(
        replace(case, parameters={}), Decision("stopped", None, 1, "E"), await driver.outcome(generation, reader, model)
    )


async def test_73_a_stop_ends_the_wait_for_the_next_try(driver: Driver, upstream: Upstream):
    case, model, reader = CASES["73 as long as is waited"], "73, stopped", Reader()
    generation = await driver.begin(model, case)
    await driver.follow(generation, reader, lambda frame: is_phase(frame, "retrying"))
    async with asyncio.timeout(STOPPED_WITHIN):
        await driver.runner.stop(driver.owner, generation)
        await driver.follow(generation, reader)
    outcome = await driver.outcome(generation, reader, model)
    check(replace(case, text="", finish=None), Decision("stopped", None, 1, "0"), outcome)


LOCKED_SECONDS = 1.0
LOCKED_DURING = {
    "9 byte by byte": bytewise(answer("Hello", Gate("seen"), ", world")),
    "83 FIN in a chunk": (*stream("Hello", Gate("seen"), whole=False), Send(framed(WORLD)[:-20]), Fin()),
}


@pytest.mark.parametrize("name", LOCKED_DURING)
async def test_a_locked_database_holds_up_nothing_but_the_end(name, driver: Driver, upstream: Upstream):
    case, model, reader = replace(CASES[name], script=LOCKED_DURING[name]), f"{name}, locked", Reader()
    generation = await driver.begin(model, case)
    await driver.follow(generation, reader, lambda frame: reader.seq > 0)
    with locked():
        upstream.open("seen")
        if reader.text != case.text:
            await driver.follow(generation, reader, lambda frame: reader.text == case.text)
        await asyncio.sleep(LOCKED_SECONDS)
        state = await driver.runner.database.read(lambda: Generation.objects.get(pk=generation).state)
        assert state == "running"
    await driver.follow(generation, reader)
    check(case, decision(name), await driver.outcome(generation, reader, model))


async def test_a_second_prompt_waits_for_the_only_place_at_its_provider(driver: Driver, upstream: Upstream):
    case = Case(answer("Hello", Gate("seen"), ", world"), requests=2)
    made = await driver.make("one at a time", case, max_parallel=1)
    first, second = await driver.ask(made), await driver.ask(made)
    readers = {first: Reader(), second: Reader()}
    await driver.follow(first, readers[first], lambda frame: readers[first].seq > 0)
    await driver.follow(second, readers[second], lambda frame: isinstance(frame, Status))
    status = readers[second].frames[-1]
    assert isinstance(status, Status) and (status.phase, status.position) == ("queued", 1)
    assert upstream.count("one at a time") == 1
    upstream.open("seen")
    for generation, reader in readers.items():
        await driver.follow(generation, reader)
    for generation, reader in readers.items():
        outcome = await driver.outcome(generation, reader, "one at a time")
        check(case, Decision("completed", None, 1, "U"), outcome)


async def test_every_row_of_the_catalogue_is_here():
    assert {number(name) for name in CASES} - {None} == set(range(1, 85))
    assert {name for name in DECIDED if name.split()[0] == name} <= {name.split()[0] for name in CASES}
    assert {name for name in DECIDED if name.split()[0] != name} <= set(CASES)
    for test in ELSEWHERE.values():
        file, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text()


@contextmanager
def locked():
    """Somebody else's hand on the database."""
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=10, isolation_level=None)
    other.execute("begin immediate")
    try:
        yield
    finally:
        other.execute("rollback")
        other.close()


def is_phase(frame: Frame, phase: str) -> bool:
    return isinstance(frame, Status) and frame.phase == phase


def check(case: Case, decided: Decision, outcome: Outcome) -> None:
    """Everything that the catalogue says of a row."""
    row, reader, finished = outcome.generation, outcome.reader, outcome.reader.finished
    text = row.message.content if case.is_prefix else case.text
    assert case.text.startswith(text) and bool(text) == bool(case.text)
    expected = {
        "state": decided.state,
        "code": decided.code or "",
        "text": text,
        "reasoning": case.reasoning,
        "finish_reason": case.finish,
        "usage": _usage(case, decided, row.usage.model_name, text),
        "attempts": decided.attempts,
        "requests": decided.attempts if case.requests is None else case.requests,
        "warnings": list(case.warnings),
        "segments": 0,
    }
    usage = row.usage
    assert expected == {
        "state": row.state,
        "code": row.error_code,
        "text": row.message.content,
        "reasoning": row.message.reasoning,
        "finish_reason": row.finish_reason,
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.usage_source),
        "attempts": usage.attempts,
        "requests": len(outcome.requests),
        "warnings": outcome.warnings,
        "segments": outcome.segments,
    }
    assert (usage.state, usage.error_code, usage.finish_reason) == (row.state, row.error_code, row.finish_reason)
    assert usage.closed_at is not None

    assert (reader.text, reader.reasoning, reader.seq) == (text, case.reasoning, row.deltas)
    assert (finished.seq, finished.state, finished.code) == (row.deltas, decided.state, decided.code)
    assert (finished.length, finished.sha256) == (len(text), hashlib.sha256(text.encode()).hexdigest())
    assert row.error_parameters.items() >= case.parameters.items()
    assert case.reason in row.error_parameters.get("reason", "")
    assert sum(isinstance(frame, Delta) for frame in reader.frames) <= row.deltas
    assert sum(isinstance(frame, Snapshot) for frame in reader.frames) == 1, "who comes back goes on where it stood"
    snapshot, stored = outcome.stored
    assert (snapshot.text, snapshot.reasoning, snapshot.seq) == (text, case.reasoning, row.deltas)
    assert stored == finished, "the database tells the same end as the log"

    _check_waits(case, decided, outcome)
    assert {(request.method, request.path) for request in outcome.requests} <= {("POST", PATH)}
    if any(isinstance(step, Stall | Repeat) for step in case.script):
        assert {request.closed_how for request in outcome.requests} <= {"fin", "rst"}
    everything = f"{reader.frames} {row.error_parameters} {outcome.log}"
    assert KEY[:8] not in everything and KEY[-4:] not in everything


def _check_waits(case: Case, decided: Decision, outcome: Outcome) -> None:
    expected = BACK_OFF[: decided.attempts - 1] if case.waits is None else case.waits
    waits = outcome.waits
    assert len(waits) == len(expected), waits
    assert all(low <= wait <= high for wait, (low, high) in zip(waits, expected, strict=True)), waits
    told = [(attempt, round(wait * 1000)) for attempt, wait in enumerate(waits, start=2)]
    assert set(outcome.reader.retries) <= set(told)
    if outcome.reader.followings == 1 and outcome.reader.epoch != STORED:
        assert outcome.reader.retries == told, "who follows all the time is told of each wait"


def _usage(case: Case, decided: Decision, model: str, text: str) -> tuple[int, int, int, str]:
    if decided.usage == "U":
        assert case.counts is not None
        return (*case.counts, "reported")
    if decided.usage == "0":
        return (0, 0, 0, "counted")
    return counted(model, text, case.reasoning)
