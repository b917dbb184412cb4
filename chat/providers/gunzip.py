"""Decompress gzip with bounded memory. The portal requests `identity`, but some proxies compress anyway.

httpx would decompress whole reads at once: 195 kB became 200 MB in pieces of up to 67 MB.
"""

from __future__ import annotations

import zlib

from chat.codes import Code
from chat.providers.base import ProviderError

PIECE_BYTES = 64 * 1024
RATIO = 100
TOTAL_BYTES = 64 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class Gunzip:
    """Decompresses in pieces of at most PIECE_BYTES. All methods raise ProviderError `upstream_encoding`."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._full = False
        self._bytes_in = 0
        self._bytes_out = 0

    @property
    def pending(self) -> bool:
        """Whether `piece` may return more without more input: input is left, or the last piece was full."""
        return bool(self._packed) or self._full

    def feed(self, packed: bytes) -> None:
        """Add compressed bytes."""
        self._packed += packed
        self._bytes_in += len(packed)

    def piece(self) -> bytes:
        """Decompress the next piece; empty if more input is needed."""
        if self._unpacker.eof:  # a body may have several members
            self._unpacker = zlib.decompressobj(_GZIP)
        try:
            piece = self._unpacker.decompress(self._packed, PIECE_BYTES)
        except zlib.error as error:
            raise ProviderError(Code.UPSTREAM_ENCODING, "broken gzip") from error
        self._packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data
        self._full = len(piece) == PIECE_BYTES
        self._bytes_out += len(piece)
        unpacked = self._bytes_in - len(self._packed)
        if self._bytes_out > PIECE_BYTES + RATIO * unpacked or self._bytes_out > TOTAL_BYTES:
            raise ProviderError(Code.UPSTREAM_ENCODING, "a gzip bomb")
        return piece

    @property
    def complete(self) -> bool:
        """Whether the last member is complete, or none has started."""
        return self._unpacker.eof or self._bytes_in == 0
