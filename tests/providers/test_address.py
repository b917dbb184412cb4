from __future__ import annotations

import pytest

from chat.providers import clean_base_url


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
