"""Upstreams that speak TLS, or should: certificates, handshakes, and a stop that is as quick."""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chat.providers import TimeLimits
from chat.providers.transport import ssl_context
from tests.providers.asking import ask_once
from tests.providers.test_chat_completions import PLACES, STOP_SECONDS
from tests.upstream import Upstream


async def test_81_plain_http_where_tls_is_expected_is_a_tls_error(upstream: Upstream):
    outcome = await ask_once(upstream.base_url.replace("http:", "https:"))
    assert (outcome.code, outcome.max_tries) == ("upstream_tls", 1)
    assert upstream.requests == []


async def test_81_a_certificate_that_nobody_vouches_for_is_a_tls_error(tmp_path: Path):
    with Upstream.start(self_signed(tmp_path)) as upstream:
        outcome = await ask_once(upstream.base_url)
        assert (outcome.code, outcome.max_tries) == ("upstream_tls", 1)
        assert upstream.requests == []


async def test_a_team_may_vouch_for_its_own_certificate_and_stop_is_as_quick_under_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", files[0])
    ssl_context.cache_clear()
    try:
        with Upstream.start(files) as upstream:
            assert (await ask_once(upstream.base_url)).text == "This is a short answer."
            upstream.play("m", PLACES["mid-answer"])
            asking = asyncio.create_task(ask_once(upstream.base_url, "m"))
            request = await asyncio.to_thread(upstream.wait_for_gate, "here")
            cancelled_at = time.monotonic()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            closed_at = await asyncio.to_thread(upstream.wait_for_close, request)
            print(f"closed after {(closed_at - cancelled_at) * 1000:.1f} ms")
            assert closed_at - cancelled_at < STOP_SECONDS
    finally:
        ssl_context.cache_clear()


async def test_81_a_stalled_handshake_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        outcome = await ask_once(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", limits=TimeLimits(connect=0.2))
    assert (outcome.code, outcome.max_tries) == ("upstream_timeout", 3)


def self_signed(folder: Path, host: str = "127.0.0.1") -> tuple[str, str]:
    """The files of a certificate and its key: for one IP address or one name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    whose = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([whose]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(files[0]), str(files[1])
