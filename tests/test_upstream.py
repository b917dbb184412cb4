"""The instrument itself: what it plays, when, and what it notes."""

from __future__ import annotations

import json
import socket
import statistics

import pytest

from tests.support.upstream import Gate, Pause, Rst, Stall, Upstream, answer, record, script
from tests.support.upstream.demos import DEMOS, named, names
from tests.support.upstream.recordings import index, lines


def ask(upstream: Upstream, model: str, path: str = "/v1/chat/completions", text: str = "hi") -> socket.socket:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()
    client = socket.create_connection(("127.0.0.1", upstream.port), timeout=10)
    client.sendall(f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


def read(client: socket.socket, until: bytes = b"0\r\n\r\n") -> bytes:
    received = b""
    while until not in received and (more := client.recv(65536)):
        received += more
    return received


def test_recordings_are_played_at_their_recorded_times(upstream: Upstream):
    name = "gpt4omini_count100_stream"
    with ask(upstream, name) as client:
        received = read(client)
    assert received.count(b"data: {") == 300
    (request,) = upstream.requests
    upstream.wait_for(lambda: request.ended_at)
    # The first write are the headers, the last two the end mark and the last chunk.
    late = [
        at - request.received_at - line["t_s"] for (at, _), line in zip(request.sends[1:-2], lines(name), strict=True)
    ]
    print(f"late: median {statistics.median(late) * 1000:.1f} ms, most {max(late) * 1000:.1f} ms")
    assert min(late) >= 0
    assert statistics.median(late) < 0.02


def test_scripts_of_a_model_are_played_in_sequence_and_the_last_one_again(upstream: Upstream):
    upstream.play("m", answer("one"), answer("two"))
    for expected in (b"one", b"two", b"two"):
        with ask(upstream, "m") as client:
            assert expected in read(client)
    assert upstream.count("m") == 3
    assert upstream.count("other") == 0


def test_a_gate_holds_the_answer_until_it_is_opened(upstream: Upstream):
    upstream.play("m", answer("before", Gate("door"), "after"))
    with ask(upstream, "m", text="which door?") as client:
        request = upstream.wait_for_gate("door")
        assert b"after" not in read(client, b"before")
        upstream.open("door")
        assert b"after" in read(client)
    assert request.prompt == "which door?"
    assert upstream.matching(prompt="door") == [request]


def test_a_client_that_leaves_is_seen_at_once_even_in_a_pause(upstream: Upstream):
    for script_ in ((Stall(),), answer("x", Pause(60))):
        upstream.play("m", script_)
        client = ask(upstream, "m")
        upstream.wait_for_requests()
        client.close()
        request = upstream.requests[-1]
        assert upstream.wait_for_close(request) > request.received_at
        assert request.closed_how in ("fin", "rst")
        assert request.ended_at is None
        upstream.reset()


def test_a_reset_is_one(upstream: Upstream):
    upstream.play("m", (Rst(),))
    with ask(upstream, "m") as client, pytest.raises(ConnectionResetError):
        client.recv(1)
    upstream.turn_away(1)
    with pytest.raises(ConnectionResetError), ask(upstream, "m") as client:
        client.recv(1)
    with ask(upstream, "m2") as client:
        assert b"short" in read(client)


def test_other_paths_and_lists_of_models_are_answered(upstream: Upstream):
    upstream.play("mine", answer("x"))
    with ask(upstream, "m", "/v1/embeddings") as client:
        assert read(client, b"}").startswith(b"HTTP/1.1 404")
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=10) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert b'"mine"' in read(client, b"}]}")


def test_every_script_survives_the_way_to_the_process():
    for name in names():
        played = named(name)
        assert played
        assert script.from_wire(script.to_wire(played)) == played
    assert set(index()) | set(DEMOS) == set(names())
    assert named("fake-n3-i20") and named("nothing") is None
    assert len(record("gilas_count100_stream", speed=0)) < len(record("gilas_count100_stream"))
