from __future__ import annotations

import gzip
import random
import zlib

import pytest

from chat.providers import ProviderError
from chat.providers.gunzip import PIECE_BYTES, Gunzip


def unpack(packed: bytes, size: int = 1000) -> bytes:
    gunzip, unpacked = Gunzip(), bytearray()
    for at in range(0, len(packed), size):
        gunzip.feed(packed[at : at + size])
        while gunzip.pending:
            piece = gunzip.piece()
            assert len(piece) <= PIECE_BYTES
            unpacked += piece
    assert gunzip.complete
    return bytes(unpacked)


@pytest.mark.parametrize("size", [1, 3, 1000, 10**9])
def test_what_was_packed_comes_out_whole_however_it_is_cut(size):
    text = random.Random(1).randbytes(1000) * 3 + b"data: chunk\n\n" * 5000
    assert unpack(gzip.compress(text), size) == text


def test_members_in_a_row_are_one_body():
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


def test_nothing_is_complete_and_half_is_not():
    assert Gunzip().complete
    gunzip = Gunzip()
    gunzip.feed(gzip.compress(b"x" * 1000)[:-5])
    while gunzip.pending:
        gunzip.piece()
    assert not gunzip.complete


def test_a_bomb_is_refused_after_little_work():
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(compressor.compress(bytes(1_000_000)) for _ in range(200)) + compressor.flush()
    assert len(bomb) < 300_000
    gunzip, unpacked = Gunzip(), 0
    gunzip.feed(bomb[:4096])
    with pytest.raises(ProviderError) as caught:
        while gunzip.pending:
            unpacked += len(gunzip.piece())
    assert (caught.value.code, caught.value.permanent) == ("upstream_encoding", True)
    assert unpacked < 1_000_000


@pytest.mark.parametrize("packed", [b"no gzip at all", gzip.compress(b"x" * 100, mtime=0)[:20] + b"garbage" * 10])
def test_garbage_is_refused(packed):
    with pytest.raises(ProviderError) as caught:
        unpack(packed)
    assert caught.value.code == "upstream_encoding"
