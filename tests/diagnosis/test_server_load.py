"""The pages on which a server shows its work, when they hold what no honest server writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.diagnosis.server_load import ServerLoad, running_of
from chat.providers import Endpoint
from chat.providers.listing import MAX_WINDOW
from tests.support.processor_time import seconds
from tests.support.upstream import Upstream, document


@pytest.mark.parametrize(
    ("figures", "running"),
    [
        (["0"], 0),
        (["1", "2.0"], 3),
        (["1e999"], None),
        (["inf"], None),
        (["1e308", "1e308"], None),
        (["1e999", "-1e999"], None),
        (["1.2.3"], None),
        (["+"], None),
        ([], None),
    ],
)
def test_a_figure_that_no_count_can_have_is_none(figures: list[str], running: int | None):
    page = "".join(f'vllm:num_requests_running{{engine="{at}"}} {one}\n' for at, one in enumerate(figures))
    assert running_of("metrics", page.encode()) == running


def test_labels_end_with_their_line():
    page = b"vllm:num_requests_running{\nsglang:num_running_reqs} 7\nsglang:num_running_reqs 2\n"
    assert running_of("metrics", page) == 2


def test_a_page_of_labels_without_an_end_takes_no_square_time():
    def work(lines: int) -> Any:
        page = b"vllm:num_requests_running{\n" * lines
        return lambda: running_of("metrics", page)

    assert seconds(work(80_000)) < 10 * seconds(work(20_000))  # sixteenfold if it were the square


@pytest.mark.parametrize(
    ("sizes", "window"),
    [
        ([4096, 2048], 2048),
        ([4096, True], 4096),
        ([True], None),
        ([MAX_WINDOW, MAX_WINDOW + 1], MAX_WINDOW),
        ([10**400], None),
        ([0, -1, 2048.0, "2048", None], None),
    ],
)
async def test_only_a_size_that_a_window_can_have_is_one(sizes: list[Any], window: int | None, upstream: Upstream):
    upstream.play("GET /slots", document([{"n_ctx": size, "is_processing": False} for size in sizes]))
    inside = ServerLoad(Endpoint(upstream.base_url, private_network=True))
    try:
        assert await inside.context_window() == window
    finally:
        await inside.aclose()


@pytest.mark.parametrize("page", ["slots", "metrics"])
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, json.dumps([1, {}, None, "x"]).encode()])
def test_what_is_no_such_page_shows_nothing(page: str, body: bytes):
    assert running_of(page, body) is None
