"""Where requests may go: every IP address of a name is checked, on every way out."""

from __future__ import annotations

import pytest

from chat.providers import Endpoint, ProviderError, list_models, may_be_reached
from chat.providers.ip_rules import is_private
from tests.support.asking import ask_once
from tests.support.resolver import NAME, NEVER, PRIVATE, PUBLIC, is_refused
from tests.support.upstream import Upstream
from tests.support.upstream.script import Send, head


def written(address: str) -> str:
    """An IP address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


# Which addresses ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hosts", "private"),
    [
        (PUBLIC, False),
        (PRIVATE, True),
        (NEVER, True),
        (["localhost", "model.localhost", "fe80::1%eth0"], True),
        (["api.example.com", "localhost.example.com", "notlocalhost"], False),
    ],
)
def test_one_rule_says_what_is_private(hosts, private):
    assert {host for host in hosts if is_private(host) is not private} == set()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address):
    assert may_be_reached(address, private_network=False) and may_be_reached(address, private_network=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_by_providers_that_are_marked_so(address):
    assert may_be_reached(address, private_network=True) and not may_be_reached(address, private_network=False)


@pytest.mark.parametrize("address", [*NEVER, "fe80::1%eth0", "::1%lo", "2606:4700::1111%1", "127.1", "localhost", ""])
def test_others_by_nobody(address):
    assert not may_be_reached(address, private_network=True)


# Before a connection ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", NEVER)
async def test_a_forbidden_address_is_not_connected_to(address, scheme, private, upstream: Upstream, names, connected):
    names.answers[NAME] = [[address]]
    for host in (written(address), NAME):
        base_url = f"{scheme}://{host}:{upstream.port}/v1"
        assert is_refused(await ask_once(base_url, private_network=private))
    assert (connected, upstream.connections) == ([], [])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", PRIVATE)
async def test_a_private_one_is_not_connected_to_without_the_mark(
    address, scheme, upstream: Upstream, names, connected
):
    names.answers[NAME] = names.answers["localhost"] = [[address]]
    for host in (written(address), NAME, "localhost"):
        assert is_refused(await ask_once(f"{scheme}://{host}:{upstream.port}/v1", private_network=False))
    assert (connected, upstream.connections) == ([], [])


async def test_plain_http_needs_the_mark_wherever_it_goes(names, connected):
    names.answers["api.example.com"] = [["8.8.8.8"]]
    assert is_refused(await ask_once("http://api.example.com/v1", private_network=False))
    assert (names.asked, connected) == ([], [])


@pytest.mark.parametrize("others", [["169.254.169.254"], ["::ffff:127.0.0.1"], ["127.0.0.1", "0.0.0.0"], ["fe80::1%2"]])
async def test_one_forbidden_address_is_enough(others, upstream: Upstream, names, connected):
    for addresses in ([*others, "127.0.0.1"], ["127.0.0.1", *others]):
        names.answers[NAME] = [addresses]
        assert is_refused(await ask_once(f"http://{NAME}:{upstream.port}/v1"))
    assert (connected, upstream.connections) == ([], [])


async def test_one_private_address_is_enough_without_the_mark(upstream: Upstream, names, connected):
    for addresses in (["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1111", "::1"]):
        names.answers[NAME] = [addresses]
        assert is_refused(await ask_once(f"https://{NAME}:{upstream.port}/v1", private_network=False))
    assert (connected, upstream.connections) == ([], [])


async def test_a_name_without_addresses_is_refused(names, connected):
    names.answers[NAME] = [[]]
    assert is_refused(await ask_once(f"http://{NAME}/v1"))


@pytest.mark.parametrize("name", ["Host", "host ", "Content-Length", "TRANSFER-ENCODING", "Connection"])
async def test_no_extra_header_names_another_host_or_another_end(name, upstream: Upstream):
    outcome = await ask_once(upstream.base_url, extra_headers={name: "evil.example"})
    assert (outcome.code, outcome.max_tries) == ("upstream_rejected", 1)
    assert upstream.connections == []


async def test_a_redirect_to_metadata_is_not_followed(upstream: Upstream, connected):
    for status in (301, 302, 303, 307, 308):
        where = {"Location": "http://169.254.169.254/latest/meta-data/", "Content-Length": "0"}
        upstream.play("m", (Send(head(status, where)),))
        outcome = await ask_once(upstream.base_url, "m")
        assert (outcome.code, outcome.max_tries) == ("upstream_redirect", 1)
    assert set(connected) == {"127.0.0.1"}


async def test_the_list_of_models_is_asked_for_in_the_same_way(upstream: Upstream, names, connected):
    names.answers[NAME] = [["169.254.169.254"]]
    for base_url in (f"http://{NAME}:{upstream.port}/v1", f"http://0.0.0.0:{upstream.port}/v1"):
        with pytest.raises(ProviderError) as caught:
            await list_models(Endpoint(base_url, private_network=True))
        assert (caught.value.code, caught.value.permanent) == ("upstream_unreachable", True)
    assert (connected, upstream.connections) == ([], [])


@pytest.mark.parametrize(
    ("token_url", "code"),
    [
        ("http://169.254.169.254/latest", "upstream_unreachable"),
        (f"http://{NAME}/token", "upstream_unreachable"),
        ("http://127.1/token", "upstream_bad_response"),
    ],
)
async def test_keys_are_exchanged_in_the_same_way(token_url, code, upstream: Upstream, names, connected):
    names.answers[NAME] = [["127.0.0.1", "100.100.100.200"]]
    outcome = await ask_once(upstream.base_url, auth="evolution", key_id="key-id-0123456789", token_url=token_url)
    assert (outcome.code, outcome.max_tries) == (code, 1)
    assert (connected, upstream.connections) == ([], [])
