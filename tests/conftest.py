"""The cast for tests that talk to a real portal: a scripted upstream, and portals as real processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.support.portal import Portal
from tests.support.upstream import Upstream

MODELS = "fake,gpt-3.5-turbo,gpt-4o-mini"
REST_SECONDS = 10
EXAMPLES = 100
"""Of a property test with size 1; some multiply it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--size", type=float, default=1.0, metavar="N", help="play tests that have a size N times as large (1)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Property tests try few examples, always the same; with a larger --size more, and others each time."""
    size = float(config.getoption("size"))
    set_hypothesis_home_dir(Path(__file__).parents[1] / ".cache" / "hypothesis")
    hypothesis_settings.register_profile(
        "chatsite",
        max_examples=max(1, round(EXAMPLES * size)),
        derandomize=size <= 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],  # the machine may do other things, too
    )
    hypothesis_settings.load_profile("chatsite")
    if size > 1 and not config.option.timeout:
        config.option.timeout = size * float(config.getini("timeout"))


@pytest.fixture(scope="session")
def upstream_process() -> Iterator[Upstream]:
    with Upstream.start() as upstream:
        yield upstream


@pytest.fixture
def upstream(upstream_process: Upstream) -> Iterator[Upstream]:
    """The scripted model server, with nothing of the last test in it."""
    upstream_process.reset()
    yield upstream_process
    upstream_process.reset()


@pytest.fixture(scope="session")
def data_template(upstream_process: Upstream) -> Iterator[Path]:
    """A data directory as the first start makes it, to be copied: migrating takes longer than starting."""
    portal = Portal(upstream_process.base_url, MODELS)
    portal.setup()
    yield portal.data
    portal.remove()


@pytest.fixture(scope="session")
def shared_portal(upstream_process: Upstream, data_template: Path) -> Iterator[Portal]:
    portal = Portal(upstream_process.base_url, MODELS, data_template).start(setup=False)
    yield portal
    assert portal.stop() == 0, portal.log
    check_log(portal)
    portal.remove()


@pytest.fixture
def portal(shared_portal: Portal, upstream: Upstream) -> Iterator[Portal]:
    """A running portal whose models play what `upstream` is told to."""
    yield shared_portal
    upstream.reset()
    wait_for_rest(shared_portal)
    shared_portal.check_invariants()


@pytest.fixture
def new_portal(upstream: Upstream, data_template: Path) -> Iterator[Callable[..., Portal]]:
    """Makes portals of the test's own, to be killed and started again; `env` are its variables."""
    made: list[Portal] = []

    def make(**env: str) -> Portal:
        made.append(Portal(upstream.base_url, MODELS, data_template, **env))
        return made[-1].start(setup=False)

    yield make
    for portal in made:
        try:
            check_log(portal)
            portal.check_invariants()
        finally:
            portal.remove()


def check_log(portal: Portal) -> None:
    """No test may leave a traceback or a crash behind."""
    log = portal.log
    for crash in ("Traceback", "Segmentation"):
        at = log.find(crash)
        assert at < 0, log[max(0, at - 2000) : at + 8000]


def wait_for_rest(portal: Portal) -> None:
    """Until no generation runs."""
    from chat.models import Generation  # Django is not set up yet when this module is read

    until = time.monotonic() + REST_SECONDS
    while portal.rows(Generation.objects.unfinished()):
        assert time.monotonic() < until, f"something runs on:\n{portal.log}"
        time.sleep(0.02)
