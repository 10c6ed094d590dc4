"""Whatever a number contains, it stays one segment of the path."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trackingmore.api import endpoints
from airflow_provider_trackingmore.api.envelope import path
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.limits import DEFAULT_BASE_URL

ANY_TEXT = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "../..",
        "%2e%2e",
        "a?b=c",
        "a#b",
        "\\",
        " ",
        "\x00",
        "ä",
        "日本",
        "\ud800",
        "a;b",
        "@",
        "//",
    ]
)


@pytest.mark.parametrize(
    ("number", "segment"),
    [
        ("AB/12", "AB%2F12"),
        ("AB?12", "AB%3F12"),
        ("AB#12", "AB%2312"),
        ("AB 12", "AB%2012"),
        ("AB%12", "AB%2512"),
        ("AB%2F12", "AB%252F12"),
        ("AB+12", "AB%2B12"),
        ("AB&12=3", "AB%2612%3D3"),
        ("../delete", "..%2Fdelete"),
        ("č-日", "%C4%8D-%E6%97%A5"),
        ("AB-1_2.3~4", "AB-1_2.3~4"),
    ],
)
def test_reserved_characters_are_encoded(number: str, segment: str) -> None:
    assert endpoints.get_tracking("ups", number).path == f"/trackings/ups/{segment}"
    assert endpoints.delete_tracking("ups", number).path == f"/trackings/ups/{segment}"
    assert endpoints.update_tracking("ups", number, {"title": "x"}).path == f"/trackings/ups/{segment}"


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_that_would_change_the_path_is_refused(segment: str) -> None:
    for build in (endpoints.get_tracking, endpoints.delete_tracking):
        with pytest.raises(InvalidArgumentError, match="pass a real code or number"):
            build("ups", segment)
        with pytest.raises(InvalidArgumentError, match="pass a real code or number"):
            build(segment, "1Z5R89390357567127")


def test_a_number_that_is_not_valid_unicode_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be part of a URL"):
        endpoints.get_tracking("ups", "1Z\udce4")


@settings(max_examples=300, deadline=None)
@given(carrier=ANY_TEXT, number=ANY_TEXT, lang=st.none() | ANY_TEXT)
def test_an_accepted_path_decodes_to_the_arguments(carrier: str, number: str, lang: str | None) -> None:
    try:
        request = endpoints.get_tracking(carrier, number, lang=lang)
    except InvalidArgumentError:
        return
    wanted = ["", "v2", "trackings", carrier, number, *([lang.strip().lower()] if lang and lang.strip() else [])]
    address = urlsplit(DEFAULT_BASE_URL + request.target)
    assert (address.scheme, address.netloc, address.query, address.fragment) == (
        "https",
        "api.trackingmore.com",
        "",
        "",
    )
    assert [unquote(segment) for segment in address.path.split("/")] == wanted
    assert request.target.isascii()


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_a_path_has_as_many_segments_as_were_given(segments: list[str]) -> None:
    try:
        encoded = path(*segments)
    except InvalidArgumentError:
        return
    assert [unquote(segment) for segment in encoded[1:].split("/")] == segments
