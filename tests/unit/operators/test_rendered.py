"""What a template leaves as text means what it says, or is an error; nothing is true by accident."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.operators import rendered


@pytest.mark.parametrize(
    ("value", "means"),
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
def test_a_truth_value(value: Any, means: bool) -> None:
    assert rendered.flag("include_raw", value) is means


@pytest.mark.parametrize("value", ["yes", "0", 0, 1, "Falsch", [], {}, b"True"])
def test_whatever_else_is_no_truth_value(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^include_raw must be True or False, not "):
        rendered.flag("include_raw", value)


@pytest.mark.parametrize(
    ("value", "means"), [(100, 100), ("100", 100), (" 0.5 ", 0.5), (0, 0), (2.0, 2), ("1e3", 1000)]
)
def test_a_number(value: Any, means: float) -> None:
    assert rendered.number("quota_floor", value) == means


@pytest.mark.parametrize(
    "value", ["many", "", None, "None", True, "nan", math.nan, "inf", math.inf, -1, "-0.1", [1], 10**400, "9" * 400]
)
def test_whatever_else_is_no_number(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^quota_floor must be a number from 0, not ") as caught:
        rendered.number("quota_floor", value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(("value", "means"), [("en", "en"), (None, None), ("None", None), ("", None), (" x ", " x ")])
def test_a_text_that_may_be_left_out(value: Any, means: str | None) -> None:
    assert rendered.text("lang", value) == means


@pytest.mark.parametrize("value", [5, True, "True", ["en"]])
def test_whatever_else_is_no_text(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^lang must be text, not "):
        rendered.text("lang", value)


@pytest.mark.parametrize("value", ["Fail", "", None, 1, ["fail"]])
def test_a_choice_is_one_of_its_words(value: Any) -> None:
    assert rendered.choice("on_missing", "fail", ("fail", "report")) == "fail"
    with pytest.raises(InvalidArgumentError, match=r"^on_missing must be 'fail' or 'report', not "):
        rendered.choice("on_missing", value, ("fail", "report"))


@pytest.mark.parametrize(
    ("value", "kind", "means"),
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
def test_one_entry_or_many(value: Any, kind: str, means: list[Any]) -> None:
    assert rendered.one_or_more("lanes", value, kind) == means


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
def test_whatever_else_is_no_list(value: Any, kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^lanes must be a list of {kind}, not ") as caught:
        rendered.one_or_more("lanes", value, kind)
    assert ("render_template_as_native_obj" in str(caught.value)) == isinstance(value, str)


@pytest.mark.parametrize(
    ("value", "means"), [("True", True), ("False", False), ("None", None), ("x", "x"), (None, None)]
)
def test_archived_among_options_is_read_as_a_truth_value(value: Any, means: Any) -> None:
    given = {"archived": value, "title": "True"}
    assert rendered.options("changes", given) == {"archived": means, "title": "True"}
    assert given["archived"] == value, "what the user gave is left alone"
    assert rendered.options("changes", None) == {}


def test_an_error_shows_no_mapping_that_may_hold_personal_data() -> None:
    for read in (rendered.flag, rendered.number, rendered.text):
        with pytest.raises(InvalidArgumentError) as caught:
            read("argument", {"customer_name": "Ada Lovelace"})
        assert str(caught.value).endswith("not dict")
