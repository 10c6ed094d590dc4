"""Decompress a response piece by piece, so that its size can be checked before it fills the memory.

``requests`` decompresses everything at once, and a few kilobytes of gzip can become gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from urllib3.exceptions import DecodeError

ACCEPT_ENCODING = "gzip"
PIECE_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


def decompress(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress a body.

    :param chunks: the body as it arrives.
    :param encoding: the ``Content-Encoding`` header; empty for none.
    :return: pieces; at most 256 kB each if the body is compressed.
    :raises DecodeError: the body is damaged or truncated, or its encoding was not requested.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return iter(chunks)
        case "gzip" | "x-gzip":
            return _inflate(chunks, _GZIP)
        case "deflate":
            return _inflate(chunks, zlib.MAX_WBITS)
    raise DecodeError(f"unknown Content-Encoding {encoding[:40]!r}")


def _inflate(chunks: Iterable[bytes], window_bits: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(window_bits)
    started = False
    for chunk in chunks:
        data = chunk
        if data and not started and window_bits == zlib.MAX_WBITS and not _has_zlib_header(data):
            window_bits = -zlib.MAX_WBITS  # some servers send raw deflate, without the zlib header
            inflate = zlib.decompressobj(window_bits)
        while data:
            if inflate.eof:  # a gzip body may consist of several members
                inflate = zlib.decompressobj(window_bits)
            try:
                piece = inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise DecodeError(str(error)) from error
            started = True
            data = inflate.unconsumed_tail or inflate.unused_data
            if piece:
                yield piece
    if started and not inflate.eof:
        raise DecodeError("the compressed data is truncated")


def _has_zlib_header(data: bytes) -> bool:
    """RFC 1950: the method is 8, and the first two bytes are a multiple of 31."""
    return data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
