"""Large responses are decoded row by row, with the same result as at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import json_rows

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["items", "data", "meta", "]", '"items":[', "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def decode_both_ways(text: str) -> tuple[Any, Any]:
    """Return the result of decoding a text row by row, and at once."""

    def result(decode: Any) -> Any:
        try:
            return decode(text.encode())
        except (ValueError, RecursionError) as error:
            return type(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "LARGE", 0)
        return result(json_rows.loads), result(json.loads)


@given(values, st.none() | st.integers(0, 3))
def test_any_json_is_the_same(value: Any, indent: int | None) -> None:
    rows, at_once = decode_both_ways(json.dumps(value, indent=indent))
    assert rows == at_once


@given(st.lists(values, max_size=5), values, st.none() | st.integers(0, 3))
def test_any_page_is_the_same(items: list[Any], others: Any, indent: int | None) -> None:
    rows, at_once = decode_both_ways(
        json.dumps({"meta": {"code": 200}, "data": {"page": 1, "items": items, "x": others}}, indent=indent)
    )
    assert rows == at_once


@given(st.lists(values, max_size=4), st.integers(0, 200), st.sampled_from(["", "]", ",", "}", "\x00", '"']))
def test_a_damaged_page_is_refused_in_the_same_way(items: list[Any], cut: int, instead: str) -> None:
    text = json.dumps({"meta": {"code": 200}, "data": {"items": items, "total": "4"}})
    rows, at_once = decode_both_ways(text[:cut] + instead + text[cut + 1 :])
    assert rows == at_once


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"items": []}}',
        '{"data": {"items": [ ]}, "meta": {}}',
        '{"data": {"items": [1,]}}',
        '{"data": {"items": [1 2]}}',
        '{"data": {"items": [1}}',
        '{"data": {"items": [1], "items": [2]}}',
        '{"items": [1], "data": {"items": [2]}}',
        '{"data": {"x": {"items": [1]}}}',
        '[{"items": [1]}]',
        '{"data": {"title": "\\"items\\":[", "items": [1]}}',
        '"items":[1]',
    ],
)
def test_odd_places_for_rows(text: str) -> None:
    rows, at_once = decode_both_ways(text)
    assert rows == at_once


def test_each_row_of_a_large_page_is_decoded_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads can run between two rows, but not within one call of the decoder."""
    decoded: list[int] = []

    def decode(text: str, at: int) -> tuple[Any, int]:
        row, end = json.JSONDecoder().raw_decode(text, at)
        decoded.append(end - at)
        return row, end

    monkeypatch.setattr(json_rows, "_decode_value", decode)
    row = {"tracking_number": "9400100000000000000001", "lastEvent": "x" * 1000}
    page = {"meta": {"code": 200}, "data": {"items": [row] * 2000}}
    assert json_rows.loads(json.dumps(page).encode()) == page
    assert decoded == [len(json.dumps(row))] * 2000


@pytest.mark.parametrize("large", [0, 10**9], ids=["row by row", "at once"])
def test_rows_may_be_replaced(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "LARGE", large)
    body = b'{"data": {"items": [1, {"a": 2}, []], "total": 3}}'
    assert json_rows.loads(body, parse_row=str) == {"data": {"items": ["1", "{'a': 2}", "[]"], "total": 3}}
    for other in (b'{"items": [1]}', b'{"data": [1]}', b'{"data": {"items": {"a": 1}}}', b"[1]"):
        assert json_rows.loads(other, parse_row=str) == json.loads(other)


def test_a_row_of_a_large_page_is_replaced_before_the_next_one_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The objects of all rows at once would make Python collect garbage, which stops every thread."""
    steps: list[str] = []

    def decode(text: str, at: int) -> tuple[Any, int]:
        steps.append("decode")
        return json.JSONDecoder().raw_decode(text, at)

    monkeypatch.setattr(json_rows, "LARGE", 0)
    monkeypatch.setattr(json_rows, "_decode_value", decode)
    json_rows.loads(b'{"data": {"items": [1, 2, 3]}}', parse_row=lambda row: steps.append("replace"))
    assert steps == ["decode", "replace"] * 3
