"""The text that a template renders is parsed by the same rules for all operators."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.operators.template_values import (
    as_list,
    as_mapping,
    parse_bool,
    parse_choice,
    parse_duration,
    parse_number,
    parse_text,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (None, False),
        ("True", True),
        ("False", False),
        ("None", False),
        (" true\n", True),
        ("FALSE", False),
        ("", False),
    ],
)
def test_a_boolean_is_parsed(value: Any, expected: bool) -> None:
    assert parse_bool("include_raw", value) is expected


@pytest.mark.parametrize("value", ["yes", "0", 0, 1, "no", [], {}, b"True"])
def test_anything_else_is_not_a_boolean(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^include_raw must be True or False, not "):
        parse_bool("include_raw", value)


@pytest.mark.parametrize(
    ("value", "expected"), [(100, 100), ("100", 100), (" 0.5 ", 0.5), (0, 0), (2.0, 2), ("1e3", 1000)]
)
def test_a_number_is_parsed(value: Any, expected: float) -> None:
    assert parse_number("quota_floor", value) == expected


@pytest.mark.parametrize(
    "value", ["many", "", None, "None", True, "nan", math.nan, "inf", math.inf, -1, "-0.1", [1], 10**400, "9" * 400]
)
def test_anything_else_is_not_a_number(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^quota_floor must be a number, 0 or more, not ") as caught:
        parse_number("quota_floor", value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("value", "expected"), [("en", "en"), (None, None), ("None", None), ("", None), (" x ", " x ")]
)
def test_an_optional_text_is_parsed(value: Any, expected: str | None) -> None:
    assert parse_text("lang", value) == expected


@pytest.mark.parametrize("value", [5, True, "True", ["en"]])
def test_anything_else_is_not_a_text(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^lang must be text, not "):
        parse_text("lang", value)


@pytest.mark.parametrize("value", ["Fail", "", None, 1, ["fail"]])
def test_a_choice_is_one_of_the_allowed_words(value: Any) -> None:
    assert parse_choice("on_missing", "fail", ("fail", "report")) == "fail"
    with pytest.raises(InvalidArgumentError, match=r"^on_missing must be 'fail' or 'report', not "):
        parse_choice("on_missing", value, ("fail", "report"))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "texts", []),
        ("A", "texts", ["A"]),
        (("A", "B"), "texts", ["A", "B"]),
        (dict.fromkeys(["A"]).keys(), "texts", ["A"]),
        ({"a": 1}, "mappings", [{"a": 1}]),
        ([{"a": 1}], "mappings", [{"a": 1}]),
    ],
    ids=str,
)
def test_a_single_entry_or_an_iterable_becomes_a_list(value: Any, kind: str, expected: list[Any]) -> None:
    assert as_list("lanes", value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("[{'a': 1}]", "mappings"),
        ("['A']", "texts"),
        (" ('A',)", "texts"),
        (5, "texts"),
        (b"A", "texts"),
        ({"a": 1}, "texts"),
    ],
    ids=str,
)
def test_anything_else_is_not_a_list(value: Any, kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^lanes must be a list of {kind}, not ") as caught:
        as_list("lanes", value, kind)
    assert ("render_template_as_native_obj" in str(caught.value)) == isinstance(value, str)


@pytest.mark.parametrize(
    ("value", "expected"), [("True", True), ("False", False), ("None", None), ("x", "x"), (None, None)]
)
def test_archived_in_a_mapping_is_read_as_a_boolean(value: Any, expected: Any) -> None:
    given = {"archived": value, "title": "True"}
    assert as_mapping("changes", given) == {"archived": expected, "title": "True"}
    assert given["archived"] == value, "the user's mapping is not modified"
    assert as_mapping("changes", None) == {}


def test_an_error_does_not_show_a_mapping() -> None:
    for read in (parse_bool, parse_number, parse_text):
        with pytest.raises(InvalidArgumentError) as caught:
            read("argument", {"customer_name": "Ada Lovelace"})
        assert str(caught.value).endswith("not dict")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(days=3), timedelta(days=3)),
        (str(timedelta(days=3)), timedelta(days=3)),
        (str(timedelta(days=1, hours=2, seconds=1.5)), timedelta(days=1, hours=2, seconds=1.5)),
        ("72:00:00", timedelta(days=3)),
        (90, timedelta(seconds=90)),
        ("0", timedelta(0)),
    ],
)
def test_a_duration_is_a_timedelta_or_seconds(value: Any, expected: timedelta) -> None:
    assert parse_duration("settle", value) == expected


@pytest.mark.parametrize("value", [None, "", True, "3 days", "-1 day, 0:00:00", timedelta(-1), -1, 1e300, math.nan, []])
def test_anything_else_is_not_a_duration(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^settle must be a timedelta or a number of seconds, 0 or more"):
        parse_duration("settle", value)
