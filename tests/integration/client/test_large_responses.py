"""Responses that are larger than requested are refused while they are read, also if they are compressed."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import Request
from airflow_provider_trackingmore.api.errors import MalformedResponseError, ResponseTooLargeError
from airflow_provider_trackingmore.client.client import TrackingMoreClient
from tests.integration.client.fault_server import FaultServer, answer

MakeClient = Callable[..., TrackingMoreClient]
MB = 1 << 20


def page(rows: bytes) -> bytes:
    return b'{"meta":{"code":200},"data":{"page":1,"limit":2000,"total":"9","items":[' + rows + b"]}}"


def full_page(count: int) -> bytes:
    """Return a page with rows of the size of the vendor's largest."""
    events = [{"Date": "2026-01-01 10:00", "StatusDescription": "Arrived, sorted, left", "Details": "HUB"}] * 100
    row = {"tracking_number": "A1", "carrier_code": "ups", "origin_info": {"trackinfo": events}}
    return page(b",".join([json.dumps(row).encode()] * count))


def compressed(*parts: tuple[bytes, int]) -> bytes:
    """Compress parts, each repeated, without keeping the whole in memory."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    data = b""
    for part, times in parts:
        block = part * min(times, 10_000)
        data += b"".join(deflate.compress(block) for _ in range(times // min(times, 10_000)))
    return data + deflate.flush()


HEAD, TAIL = page(b"|").split(b"|")
ROWS_2_000_000 = compressed((HEAD, 1), (b"{},", 2_000_000), (b"{}" + TAIL, 1))
BLANKS_1_GB = compressed((b" " * 100, 10_000_000))
LISTS_IN_A_ROW = compressed((HEAD + b"[", 1), (b"[],", 10_000_000), (b"[]]" + TAIL, 1))
LISTS = compressed((b'{"meta":{"code":200},"data":[', 1), (b"[],", 2_000_000), (b"[]]}", 1))

BOMBS: dict[str, tuple[bytes, Request[Any], int]] = {
    "2,000,000 rows for a page": (ROWS_2_000_000, endpoints.list_page(limit=2000), 40 * MB),
    "2,000,000 rows for 40": (ROWS_2_000_000, endpoints.list_page(limit=40), 20 * MB),
    "1 GB of blanks for a page": (BLANKS_1_GB, endpoints.list_page(limit=2000), 160 * MB),
    "1 GB of blanks for an account": (BLANKS_1_GB, endpoints.get_account(), 20 * MB),
    "one row of 10,000,000 lists": (LISTS_IN_A_ROW, endpoints.list_page(limit=2000), 160 * MB),
    "2,000,000 lists where no page was requested": (LISTS, endpoints.get_account(), 40 * MB),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_response_that_would_become_large_is_refused_while_it_is_read(
    bomb: str, server: FaultServer, make_client: MakeClient
) -> None:
    data, request, max_peak = BOMBS[bomb]
    server.does(answer(data, headers={"Content-Encoding": "gzip"}))
    client = make_client(server.url, timeout_seconds=30)
    tracemalloc.start()
    try:
        with pytest.raises(ResponseTooLargeError, match=rf"GET {request.path}: .*(?:more|larger) than"):
            client.send(request)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{bomb}: {len(data):,} bytes on the wire, at most {peak / MB:.0f} MB of memory")
    assert peak < max_peak
    assert len(server.requests) == 1  # a retry would return the same


@pytest.mark.parametrize("limit", [1, 40, 100])
def test_a_page_has_no_more_rows_than_its_limit(limit: int, server: FaultServer, make_client: MakeClient) -> None:
    client = make_client(server.url)
    server.does(answer(full_page(limit)), answer(full_page(limit + 1)))
    assert len(client.send(endpoints.list_page(limit=limit)).items) == limit
    with pytest.raises(ResponseTooLargeError, match=f"more than the {limit} rows"):
        client.send(endpoints.list_page(limit=limit))


def test_the_largest_page_that_the_vendor_sends_is_read(server: FaultServer, make_client: MakeClient) -> None:
    body = full_page(2000)
    assert len(body) > 15 * MB
    server.does(answer(gzip.compress(body, 1), headers={"Content-Encoding": "gzip"}))
    assert len(make_client(server.url).send(endpoints.list_page(limit=2000)).items) == 2000


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip by its old name": ("x-gzip", gzip.compress),
    "gzip in two parts": ("GZIP", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without its frame": ("deflate", raw_deflate),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_usual_compression_is_read(encoding: str, server: FaultServer, make_client: MakeClient) -> None:
    name, compress = ENCODINGS[encoding]
    server.does(answer(compress(full_page(100)), headers={"Content-Encoding": name}))
    assert len(make_client(server.url).send(endpoints.list_page(limit=100)).items) == 100


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gzip", gzip.compress(full_page(9))[:-20]),
        ("gzip", full_page(9)),
        ("deflate", b"\xff" * 40),
        ("br", full_page(9)),
        ("gzip, gzip", gzip.compress(gzip.compress(full_page(9)))),
    ],
    ids=["cut off", "not compressed", "broken", "brotli", "twice"],
)
def test_a_response_that_cannot_be_decompressed_is_malformed(
    name: str, data: bytes, server: FaultServer, make_client: MakeClient
) -> None:
    server.does(answer(data, headers={"Content-Encoding": name}))
    with pytest.raises(MalformedResponseError, match="could not be decompressed"):
        make_client(server.url, max_attempts=1).send(endpoints.list_page())


def test_only_compressions_that_can_be_bounded_are_accepted(server: FaultServer, make_client: MakeClient) -> None:
    make_client(server.url).send(endpoints.get_account())
    assert b"\r\naccept-encoding: gzip\r\n" in server.requests[0].lower()
