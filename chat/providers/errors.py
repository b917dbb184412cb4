"""Turn an upstream's failures into ProviderErrors: statuses, bodies in nine shapes, errors inside streams.

Does no I/O and imports no HTTP library. tests/providers/test_errors.py lists the shapes and codes.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from chat.codes import Code
from chat.providers.base import ProviderError
from chat.providers.redaction import redact

STATUS_CODES = {
    401: Code.UPSTREAM_AUTH,
    402: Code.UPSTREAM_QUOTA,
    403: Code.UPSTREAM_FORBIDDEN,
    404: Code.UPSTREAM_NOT_FOUND,
    405: Code.UPSTREAM_BAD_RESPONSE,
    407: Code.UPSTREAM_BAD_RESPONSE,
    408: Code.UPSTREAM_ERROR,
    409: Code.UPSTREAM_ERROR,
    410: Code.UPSTREAM_NOT_FOUND,
    413: Code.CONTEXT_TOO_LONG,
    424: Code.UPSTREAM_ERROR,
    425: Code.UPSTREAM_ERROR,
    429: Code.UPSTREAM_RATE_LIMITED,
    498: Code.UPSTREAM_OVERLOADED,
    501: Code.UPSTREAM_REJECTED,
    503: Code.UPSTREAM_OVERLOADED,
    524: Code.UPSTREAM_TIMEOUT,
    529: Code.UPSTREAM_OVERLOADED,
}

_HOPELESS_STATUSES = frozenset({424, 499})

# Parts of upstream's type, code and status, in lower case without punctuation. The first match counts.
_ALWAYS: tuple[tuple[Code, tuple[str, ...]], ...] = (
    (Code.CONTEXT_TOO_LONG, ("contextlength", "contextwindow", "exceedcontext", "contextsize", "requesttoolarge")),
    (Code.UPSTREAM_QUOTA, ("insufficientquota", "billing", "insufficientbalance", "insufficientcredit", "paymentreq")),
)
_WITHOUT_STATUS: tuple[tuple[Code, tuple[str, ...]], ...] = (
    (Code.UPSTREAM_AUTH, ("authentication", "invalidapikey", "apikeyinvalid", "unauthorized", "unauthenticated")),
    (Code.UPSTREAM_FORBIDDEN, ("permission", "forbidden", "accessdenied")),
    (Code.UPSTREAM_NOT_FOUND, ("notfound",)),
    (Code.UPSTREAM_RATE_LIMITED, ("ratelimit", "toomanyrequests", "resourceexhausted", "throttl")),
    (Code.UPSTREAM_OVERLOADED, ("overloaded", "unavailable", "insufficientsystemresource")),
    (Code.UPSTREAM_TIMEOUT, ("timeout", "deadlineexceeded")),
    (Code.UPSTREAM_REJECTED, ("invalidrequest", "badrequest", "unsupported", "validation", "content")),
)
_CONTEXT_TEXT = re.compile(
    r"maximum context|context (length|window|size)|(prompt|input) is too long|too many (input |prompt )?tokens"
    r"|reduce the length of the (messages|prompt|input)",
    re.IGNORECASE,
)
# OpenAI, Azure, Groq, xAI | OpenAI's older wording, Gemini | Mistral, Azure serverless | llama.cpp, FastAPI
_REFUSING = re.compile(
    r"unsupported|(not|n't) (be )?(supported?|allowed|permitted|recogni[sz]ed)|not compatible"
    r"|unrecogni[sz]ed|unknown ?(name|parameter|argument|field|property|request)"
    r"|extra ?_?(inputs?|parameters?|fields?|forbidden)"
    r"|unexpected ?(keyword|field|parameter|argument|property)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[a-z][a-z_]*[a-z]")
_NOT_ABOUT_CONTEXT = frozenset({401, 402, 403, 404, 429})


@dataclass(frozen=True)
class Complaint:
    """Upstream's description of a failure, read from any of the known shapes.

    words   type, code, status and reason: lower-case letters and digits, separated by spaces
    number  its code if that is an HTTP status
    """

    message: str = ""
    words: str = ""
    number: int | None = None
    param: str = ""
    retry_after: float | None = None


class FieldRefused(ProviderError):
    """Upstream refuses a field of the request. The same request without it may succeed.

    names  possible names of the field, the likeliest first; the caller picks the one that the request holds
    """

    def __init__(self, names: Sequence[str], *, reason: str, request_id: str) -> None:
        super().__init__(Code.UPSTREAM_REJECTED, reason, request_id=request_id)
        self.names = names


class TokenFailed(ProviderError):
    """The token address gave no token for the key id and its secret. The base URL did not fail."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(
            error.code,
            permanent=error.permanent,
            retry_after=error.retry_after,
            reason=f"the token address: {error.reason}"[:200] if error.reason else "the token address",
            request_id=error.request_id,
        )


def status_failure(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str] = (), request_id: str = ""
) -> ProviderError:
    """Return the error for a status other than 2xx. `headers`: lower-case names; `body`: its decoded beginning."""
    said = _parsed(body)
    complaint = _from_body(said) if said is not None else Complaint()
    text = complaint.message or (_plain(body) if said is None else "") or f"HTTP {status}"
    reason = redact(text, secrets)
    code = _code(complaint, status)
    if status == 404 and said is None:
        code = Code.UPSTREAM_BAD_RESPONSE  # not a model API: those answer with JSON
    if code == Code.UPSTREAM_REJECTED and status in (400, 422) and (names := _refused_fields(complaint)):
        return FieldRefused(names, reason=reason, request_id=request_id)
    return ProviderError(
        code,
        reason,
        permanent=_permanent(code, status, headers),
        retry_after=retry_after(headers) or complaint.retry_after,
        request_id=request_id,
    )


def stream_failure(complaint: Complaint, secrets: Sequence[str] = (), request_id: str = "") -> ProviderError:
    """Return the error that upstream reports inside an answer with status 200."""
    reason = redact(complaint.message, secrets)
    if "unexpected endpoint or method" in complaint.message.lower():  # LM Studio, if the address lacks its /v1
        return ProviderError(Code.UPSTREAM_BAD_RESPONSE, reason, request_id=request_id)
    return ProviderError(_code(complaint, None), reason, retry_after=complaint.retry_after, request_id=request_id)


def stream_complaint(value: object) -> Complaint | None:
    """Return the complaint in a decoded chunk or whole answer, or None."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    if value.get("error") or value.get("object") == "error" or value.get("type") == "error":
        return _from_body(value)
    groq = value.get("x_groq")
    if isinstance(groq, dict) and groq.get("error"):
        return _from_body(groq)
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            return _from_body(choice)
    return None


def text_complaint(data: str) -> Complaint:
    """Return the complaint in the data of an event `error`: JSON in any shape, or plain text."""
    try:
        return _from_body(json.loads(data))
    except (ValueError, RecursionError):
        return Complaint(message=data)


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds to wait from `retry-after-ms`, or else from `retry-after` (a number or an HTTP date).

    None if it is missing, invalid, zero or past; `inf` stays `inf`. A date is relative to the header `date`.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return seconds if seconds > 0 else None  # also None for NaN
    until = _timestamp(headers.get("retry-after", ""))
    if until is None:
        return None
    sent = _timestamp(headers.get("date", ""))
    seconds = until - (now() if sent is None else sent)
    return seconds if seconds > 0 else None


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _permanent(code: Code, status: int, headers: Mapping[str, str]) -> bool:
    said = headers.get("x-should-retry", "").strip().lower()
    if said in ("true", "false"):
        return said == "false"
    return code.rules.is_permanent or status in _HOPELESS_STATUSES


def _parsed(body: bytes) -> object | None:
    """Return the body as a JSON object or array, or None."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _plain(body: bytes) -> str:
    """Return a plain-text body, or '' for HTML."""
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") or "<html" in text.lower() else text


def _from_body(value: object) -> Complaint:
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return Complaint(message=value if isinstance(value, str) else "")
    error = value.get("error")
    if isinstance(error, dict):
        return _from_fields({**value, **error})
    if isinstance(error, str) and error:
        return _from_fields({**value, "message": error})
    return _from_fields(value)


def _from_fields(fields: Mapping[str, Any]) -> Complaint:
    details = fields.get("details")
    details = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    inner = [fields.get("metadata"), fields.get("innererror"), *details]
    sources = [fields, *(part for part in inner if isinstance(part, dict))]
    names = ("type", "code", "status", "error_type", "reason")
    words = [_bare(source[name]) for source in sources for name in names if isinstance(source.get(name), str)]
    numbers = (_http_number(fields.get(name)) for name in ("code", "status_code", "status"))
    message = _message(fields.get("message")) or _message(fields.get("detail"))
    param = fields.get("param")
    return Complaint(
        message=message,
        words=" ".join(words),
        number=next((number for number in numbers if number is not None), None),
        param=param if isinstance(param, str) else "",
        retry_after=_retry_info(details),
    )


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _message(value: object, depth: int = 5) -> str:
    """Return a message from a string, FastAPI's list of errors with places, or an object around one of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _message(value.get("detail") or value.get("message"), depth - 1) if depth else ""
    if not isinstance(value, list):
        return ""
    parts = []
    for item in value[:5]:
        if isinstance(item, dict):
            place = item.get("loc")
            where = ".".join(str(step) for step in place) if isinstance(place, list) else ""
            parts.append(f"{where}: {item.get('msg', '')}" if where else str(item.get("msg", "")))
    return "; ".join(parts)


def _http_number(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:4])
    return value if isinstance(value, int) and 400 <= value <= 599 else None


def _retry_info(details: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the seconds of Google's RetryInfo: `{"retryDelay": "23s"}`."""
    for detail in details:
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", str(detail.get("retryDelay", "")))
        if found and 0 < float(found[1]) < math.inf:
            return float(found[1])
    return None


def _refused_fields(complaint: Complaint) -> list[str]:
    """Return the words that may name a refused field; [] if the complaint is about something else."""
    if not _REFUSING.search(f"{complaint.words} {complaint.message}"):
        return []
    return list(dict.fromkeys(_NAME.findall(f"{complaint.param} {complaint.message}")))


def _code(complaint: Complaint, status: int | None) -> Code:
    """Choose the code: unambiguous words come before the number, the number before vague words, these before text."""
    number = status if status is not None else complaint.number
    code = _by_words(complaint.words, _ALWAYS)
    if not code and number in (None, 400, 422):
        code = _by_words(complaint.words, _WITHOUT_STATUS)
    vague = code in (None, Code.UPSTREAM_REJECTED) and number not in _NOT_ABOUT_CONTEXT
    if vague and _CONTEXT_TEXT.search(complaint.message):
        return Code.CONTEXT_TOO_LONG
    if code or number is None:
        return code or Code.UPSTREAM_ERROR
    return STATUS_CODES.get(number, Code.UPSTREAM_ERROR if number >= 500 else Code.UPSTREAM_REJECTED)


def _by_words(words: str, table: Sequence[tuple[Code, Sequence[str]]]) -> Code | None:
    return next((code for code, parts in table if any(part in words for part in parts)), None)
