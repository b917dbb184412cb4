from __future__ import annotations

import json
import math

import pytest

from chat.options import OPTIONS
from chat.providers.base import ProviderError
from chat.providers.errors import (
    FieldRefused,
    retry_after,
    status_failure,
    stream_complaint,
    stream_failure,
    text_complaint,
)

FIELDS = {*OPTIONS, "stream_options"}
HTML = b"<html><head><title>404 Not Found</title></head></html>"


def openai(message="It went wrong.", type=None, code=None, param=None):
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "code", "permanent"),
    [
        (400, openai(), "upstream_rejected", True),
        (400, openai(code="context_length_exceeded"), "context_too_long", True),
        (400, openai("This model's maximum context length is 8192 tokens."), "context_too_long", True),
        (400, openai(code=400, type="exceed_context_size_error"), "context_too_long", True),
        (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], "?", True),
        (400, {"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}, "upstream_auth", True),
        (400, openai(code="content_filter"), "upstream_rejected", True),
        (400, openai(code="model_not_found"), "upstream_not_found", True),
        (401, openai(code="invalid_api_key"), "upstream_auth", True),
        (401, {"detail": "Not authenticated"}, "upstream_auth", True),
        (401, b"Authentication Fails (governor)", "upstream_auth", True),
        (401, {"error": {"type": "authentication_error", "code": "invalid_request_error"}}, "upstream_auth", True),
        (402, {"error": {"message": "Insufficient Balance"}}, "upstream_quota", True),
        (403, openai(), "upstream_forbidden", True),
        (403, HTML, "upstream_forbidden", True),
        (404, openai(code="model_not_found"), "upstream_not_found", True),
        (404, {"detail": "Not Found"}, "upstream_not_found", True),
        (404, HTML, "upstream_bad_response", True),
        (404, b"404 page not found", "upstream_bad_response", True),
        (404, b"", "upstream_bad_response", True),
        (405, {"detail": "Method Not Allowed"}, "upstream_bad_response", True),
        (408, b"", "upstream_error", False),
        (409, b"", "upstream_error", False),
        (413, b"", "context_too_long", True),
        (422, {"detail": [{"loc": ["body", "top_p"], "msg": "not a number"}]}, "upstream_rejected", True),
        (424, {"error": "Generation failed", "error_type": "generation"}, "upstream_error", True),
        (429, openai(code="rate_limit_exceeded"), "upstream_rate_limited", False),
        (429, openai(type="insufficient_quota", code="insufficient_quota"), "upstream_quota", True),
        (429, openai("Too many tokens per minute"), "upstream_rate_limited", False),
        (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, "upstream_rate_limited", False),
        (418, b"", "upstream_rejected", True),
        (498, b"", "upstream_overloaded", False),
        (500, openai(type="server_error"), "upstream_error", False),
        (500, b"", "upstream_error", False),
        (501, openai(type="not_supported_error", code=501), "upstream_rejected", True),
        (502, HTML, "upstream_error", False),
        (503, openai("Loading model", code=503, type="unavailable_error"), "upstream_overloaded", False),
        (504, HTML, "upstream_error", False),
        (520, HTML, "upstream_error", False),
        (524, HTML, "upstream_timeout", False),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "upstream_overloaded", False),
        (500, b"[" * 10_000, "upstream_error", False),
    ],
)
def test_a_status_and_its_body_become_one_of_our_codes(status, body, code, permanent):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = status_failure(status, {}, raw)
    assert error.code == ("upstream_rejected" if code == "?" else code)
    assert error.permanent is permanent
    assert error.max_tries == (1 if permanent else 3)
    assert "<" not in error.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (openai("Too hot."), "Too hot."),
        ({"object": "error", "message": "Flat.", "type": "BadRequestError", "code": 400}, "Flat."),
        (
            {"object": "error", "message": {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}},
            "body.top_p: too big",
        ),
        ({"error": {"code": 402, "message": "No credits", "metadata": {"error_type": "x"}}}, "No credits"),
        ({"type": "error", "error": {"type": "api_error", "message": "Anthropic's"}}, "Anthropic's"),
        ([{"error": {"code": 400, "message": "Wrapped", "status": "INVALID_ARGUMENT"}}], "Wrapped"),
        ({"error": "Only a string"}, "Only a string"),
        ({"error": "Only a string", "error_type": "overloaded"}, "Only a string"),
        ({"detail": "FastAPI's"}, "FastAPI's"),
        ({"detail": [{"loc": ["body", 0], "msg": "one"}, {"msg": "two"}]}, "body.0: one; two"),
        (b"plain text", "plain text"),
        (HTML, "HTTP 400"),
        (b"", "HTTP 400"),
        ({}, "HTTP 400"),
        ([], "HTTP 400"),
        ({"error": {"message": 7}}, "HTTP 400"),
        (openai("two\n lines\x00 and\tmore"), "two lines and more"),
        (openai("x" * 500), "x" * 199 + "…"),
    ],
)
def test_upstreams_own_words_are_found_in_every_shape(body, reason):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert status_failure(400, {}, raw).reason == reason


@pytest.mark.parametrize(
    ("chunk", "code", "permanent"),
    [
        (openai(type="server_error"), "upstream_error", False),
        (openai(code=500, type="InternalServerError"), "upstream_error", False),
        (openai(type="overloaded_error"), "upstream_overloaded", False),
        (openai(code="insufficient_quota"), "upstream_quota", True),
        (openai(code="context_length_exceeded"), "context_too_long", True),
        (openai(type="rate_limit_error"), "upstream_rate_limited", False),
        (openai(type="invalid_request_error"), "upstream_rejected", True),
        (openai(code="503"), "upstream_overloaded", False),
        (openai("the request timed out", type="timeout"), "upstream_timeout", False),
        ({"error": "boom"}, "upstream_error", False),
        ({"error": "The prompt is too long for this model"}, "context_too_long", True),
        ({"error": {"message": "x", "http_status_code": 422}}, "upstream_error", False),
        ({"object": "error", "message": "x", "code": 429}, "upstream_rate_limited", False),
        ({"choices": [{"index": 0, "error": {"code": 502, "message": "gone"}}]}, "upstream_error", False),
        (
            {"error": {"code": 502, "message": "gone", "metadata": {"error_type": "provider_unavailable"}}},
            "upstream_error",
            False,
        ),
        ([{"error": {"code": 503, "status": "UNAVAILABLE"}}], "upstream_overloaded", False),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"}, "upstream_bad_response", True),
    ],
)
def test_an_error_inside_a_stream_becomes_one_of_our_codes(chunk, code, permanent):
    complaint = stream_complaint(chunk)
    assert complaint is not None
    error = stream_failure(complaint)
    assert (error.code, error.permanent) == (code, permanent)


@pytest.mark.parametrize(
    "chunk",
    [{}, {"error": None}, {"error": {}}, {"choices": [{"delta": {"content": "error"}}]}, {"type": "ping"}, [], 7, None],
)
def test_what_is_no_error_is_not_taken_for_one(chunk):
    assert stream_complaint(chunk) is None


def test_an_event_named_error_may_hold_plain_text():
    assert stream_failure(text_complaint("too bad")).reason == "too bad"
    assert stream_failure(text_complaint('{"type":"exceed_context_size_error"}')).code == "context_too_long"


@pytest.mark.parametrize(
    ("message", "param", "field"),
    [
        ("body.stream_options.include_usage: Extra inputs are not permitted", None, "stream_options"),
        ("Unknown parameter", "stream_options", "stream_options"),
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_tokens",
        ),
        ("Unrecognized request argument supplied: seed", None, "seed"),
        ("Unsupported value: 'temperature' does not support 0.7 with this model.", "temperature", "temperature"),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', None, "seed"),
        ("Extra parameters ['stop', 'seed'] are not allowed when extra-parameters is not set.", None, "stop"),
        ("Argument not supported on this model: stop", None, "stop"),
        ("property 'reasoning_effort' is unsupported", None, "reasoning_effort"),
    ],
)
def test_a_refused_field_is_named_so_that_it_can_be_left_out(message, param, field):
    for status in (400, 422):
        error = status_failure(status, {}, json.dumps(openai(message, param=param)).encode())
        assert isinstance(error, FieldRefused)
        assert (error.code, error.permanent) == ("upstream_rejected", True)
        assert next(name for name in error.names if name in FIELDS) == field


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
        "temperature: must be less than or equal to 1",
        "Invalid value: 'xhigh'. Supported values are: 'low', 'medium' and 'high'.",
    ],
)
def test_a_field_with_a_wrong_value_is_not_left_out_behind_a_persons_back(message):
    error = status_failure(400, {}, json.dumps(openai(message, param="temperature")).encode())
    assert (type(error), error.code) == (ProviderError, "upstream_rejected")


def test_too_long_a_conversation_is_not_taken_for_a_refused_field():
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large. This model's maximum context length is 8192 tokens."
    )
    assert status_failure(400, {}, json.dumps(openai(message)).encode()).code == "context_too_long"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "700"}, 0.7),
        ({"retry-after-ms": "700", "retry-after": "9"}, 0.7),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "inf"}, math.inf),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "Fri, 21 Nov 2025 10:00:05 GMT", "date": "Fri, 21 Nov 2025 10:00:00 GMT"}, 5.0),
        ({"retry-after": "Fri, 21 Nov 2025 10:00:05 GMT", "date": "Fri, 21 Nov 2025 10:00:09 GMT"}, None),
        ({"retry-after": "Fri, 21 Nov 2025 10:00:05 GMT"}, 2.0),
        ({"retry-after": "Fri, 99 Nov 2025 10:00:05 GMT"}, None),
    ],
)
def test_how_long_upstream_asks_us_to_wait(headers, seconds):
    assert retry_after(headers, now=lambda: 1763719203.0) == seconds


def test_googles_retry_delay_counts_where_no_header_does():
    body = {"error": {"code": 429, "details": [{"@type": "type.googleapis.com/RetryInfo", "retryDelay": "23s"}]}}
    assert status_failure(429, {}, json.dumps(body).encode()).retry_after == 23.0
    assert status_failure(429, {"retry-after": "2"}, json.dumps(body).encode()).retry_after == 2.0


@pytest.mark.parametrize(
    ("status", "said", "permanent"),
    [(500, "false", True), (400, "true", False), (500, "true", False), (429, "maybe", False), (400, "", True)],
)
def test_upstream_may_say_itself_whether_to_try_again(status, said, permanent):
    assert status_failure(status, {"x-should-retry": said}, b"").permanent is permanent
