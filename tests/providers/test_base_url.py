from __future__ import annotations

import pytest

from chat.providers import BadAddress, clean_base_url, clean_url, origin_of


@pytest.mark.parametrize(
    ("pasted", "clean"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("  https://api.gilas.io/v1/ ", "https://api.gilas.io/v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/chat/completions/", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com//v1//", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/v1/models", "http://[::1]:8080/v1"),
        ("https://x.example/openai/deployments/chat", "https://x.example/openai/deployments/chat"),
        ("HTTPS://API.Example.com:443/v1", "https://API.Example.com:443/v1"),
        ("http://my_ollama:0443/v1", "http://my_ollama:443/v1"),
        ("https://x.example:/v1?", "https://x.example/v1"),
        ("https://x.example/v1/a%20b/...", "https://x.example/v1/a%20b/..."),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://Bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://модель.рф/v1", "https://xn--d1acsbk1g.xn--p1ai/v1"),
        ("https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example/v1"),
    ],
)
def test_an_address_is_made_regular(pasted, clean):
    assert clean_base_url(pasted) == clean
    assert clean_base_url(clean) == clean


@pytest.mark.parametrize(
    "pasted",
    ["", "api.openai.com", "ftp://x.example", "https://", "https://user:pass@x.example/v1", "https://x.example/v1#a"]
    + ["https://x.example/v1?a=1", "https://x.example:99999/v1", "https://x.example:0/v1", "https://x.example/a b"]
    + ["https://x.example/\\evil", "file:///etc/passwd", "http://x.example:abc/"],
)
def test_what_is_no_address_of_a_server_is_refused(pasted):
    with pytest.raises(ValueError):
        clean_base_url(pasted)


@pytest.mark.parametrize(
    ("pasted", "fault"),
    [
        ("api.openai.com", "form"),
        ("ftp://x.example", "form"),
        ("https://user:pass@x.example/v1", "userinfo"),
        ("https://x.example/v1?a=1", "query"),
        ("https://x.example:65536/v1", "port"),
        ("https://x.example:0/v1", "port"),
        ("https://x.example\\v1", "characters"),
        ("https://x.ex\u200bample/v1", "characters"),
        ("https://127.1/v1", "host"),
        ("https://[::1%25lo]/v1", "host"),
        ("https://[::g]/v1", "host"),
        ("https://x.example./v1", "host"),
        ("https://straße.example/v1", "host"),
        ("https://x.example/v1/../v2", "path"),
    ],
)
def test_whoever_pasted_it_is_told_what_is_wrong(pasted, fault):
    for clean in (clean_base_url, clean_url):
        with pytest.raises(BadAddress) as caught:
            clean(pasted)
        assert caught.value.fault == fault


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example.com/v1", "https://api.example.com:443"),
        ("https://api.example.com:443/v2/", "https://api.example.com:443"),
        ("http://api.example.com/v1", "http://api.example.com:80"),
        ("http://[::1]:8080/v1", "http://::1:8080"),
        ("https://x.example:abc/v1", "https://x.example:abc/v1"),
        ("", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == origin
