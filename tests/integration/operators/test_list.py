"""ListTrackingsOperator: results in XCom up to a limit, in files without one, and filters from templates."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.exceptions import TooManyRowsError
from airflow_provider_trackingmore.operators.trackings import (
    DeleteTrackingsOperator,
    GetTrackingsOperator,
    ListTrackingsOperator,
    UpdateTrackingsOperator,
)
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from airflow_provider_trackingmore.sensors.shipments import ShipmentDeliveredSensor
from tests.integration.airflow.parcels import PERSONAL
from tests.integration.operators.conftest import Execute, Seed

CallCounts = Callable[[], dict[str, int]]
FIELDS = ["carrier_code", "tracking_number", "status", "substatus", "delivered_at", "last_update", "order_id"]
LIST = "GET /trackings/get"


def numbers(entries: list[dict[str, Any]]) -> set[str]:
    return {entry["tracking_number"] for entry in entries}


def listed(execute: Execute, filters: dict[str, Any]) -> set[str]:
    return numbers(execute(ListTrackingsOperator, filters=filters)["trackings"])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Into XCom -----------------------------------------------------------------------------------------------------------


def test_a_list_has_each_shipment_without_personal_data(
    execute: Execute, seed: Seed, personal_data: list[str], logged: Callable[[], list[str]]
) -> None:
    parcels = seed("transit", "delivered", "exception")
    result = execute(ListTrackingsOperator)
    assert (result["rows"], result["path"], list(result)) == (3, None, ["rows", "path", "trackings"])
    rows = result["trackings"]
    assert numbers(rows) == numbers(parcels)
    assert [list(row) for row in rows] == [FIELDS] * 3
    personal_data.remove("A-1001")
    assert not [secret for secret in personal_data if secret in str(rows)]
    assert logged()[-1] == "INFO Found 3 shipments"
    assert "raw" in execute(ListTrackingsOperator, include_raw="True")["trackings"][0]


@pytest.mark.parametrize("max_rows", [3, "3", 3.0])
def test_more_rows_than_allowed_are_an_error_with_a_hint(execute: Execute, seed: Seed, max_rows: Any) -> None:
    seed("transit", "delivered", "exception")
    assert execute(ListTrackingsOperator, max_rows=max_rows)["rows"] == 3
    seed("transit#2")
    with pytest.raises(
        TooManyRowsError, match=r"More than max_rows=3 shipments match\. Set a path to write them to a file"
    ):
        execute(ListTrackingsOperator, max_rows=max_rows)
    assert execute(ListTrackingsOperator, max_rows=max_rows, filters={"status": "transit"})["rows"] == 2


def test_too_many_rows_are_detected_without_reading_all_of_them(
    sandbox: SandboxProcess, execute: Execute, call_counts: CallCounts
) -> None:
    sandbox.seed(count=9_000, seed=8)
    with pytest.raises(TooManyRowsError, match="More than max_rows=1000 shipments match"):
        execute(ListTrackingsOperator)
    assert call_counts()[LIST] < 5


def test_an_empty_account_has_an_empty_list(execute: Execute) -> None:
    assert execute(ListTrackingsOperator) == {"rows": 0, "path": None, "trackings": []}


def test_the_result_is_a_list_of_shipments_for_other_operators(execute: Execute, seed: Seed, tmp_path: Path) -> None:
    parcels = seed("transit", "delivered")
    deleted = execute(DeleteTrackingsOperator, shipments=execute(ListTrackingsOperator))
    assert numbers(deleted["done"]) == numbers(parcels)
    written = execute(ListTrackingsOperator, path=str(tmp_path / "rows.ndjson"))
    for operator in (DeleteTrackingsOperator, GetTrackingsOperator, ShipmentDeliveredSensor):
        with pytest.raises(InvalidArgumentError, match="written to a file: read the file at their path"):
            execute(operator, shipments=written)


# Into a file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_with_a_path_the_rows_are_written_there_one_per_line(
    execute: Execute, seed: Seed, tmp_path: Path, address: str, logged: Callable[[], list[str]]
) -> None:
    file = tmp_path / "night ✓.ndjson"
    parcels = seed("transit", "delivered")
    path = address.format(file)
    assert execute(ListTrackingsOperator, path=path, max_rows=1) == {"rows": 2, "path": path, "trackings": None}
    assert numbers(lines(file)) == numbers(parcels)
    assert [list(row) for row in lines(file)] == [FIELDS, FIELDS]
    assert logged()[-1] == f"INFO Wrote 2 shipments to {path}"


def test_a_file_is_replaced_and_contains_personal_data_only_on_request(
    execute: Execute, seed: Seed, tmp_path: Path
) -> None:
    file = tmp_path / "rows.ndjson"
    seed("transit")
    execute(ListTrackingsOperator, path=str(file), include_raw="True")
    assert lines(file)[0]["raw"]["customer_email"] == PERSONAL["customer_email"]
    execute(ListTrackingsOperator, path=str(file), include_raw="False")
    assert PERSONAL["customer_email"] not in file.read_text(encoding="utf-8")
    assert execute(ListTrackingsOperator, path=str(file), filters={"status": "expired"})["rows"] == 0
    assert file.read_text(encoding="utf-8") == ""


def test_half_a_surrogate_pair_in_a_text_is_written_as_its_escape(
    sandbox: SandboxProcess, execute: Execute, tmp_path: Path
) -> None:
    """Texts that the vendor has cut in the middle of an emoji are valid JSON, but not valid Unicode."""
    shipment = {"carrier_code": "usps", "tracking_number": "SBX-STUCK-1", "title": "mug \ud83d"}
    sandbox.seed(shipments=[shipment])
    file = tmp_path / "rows.ndjson"
    execute(ListTrackingsOperator, path=str(file), include_raw=True)
    assert lines(file)[0]["raw"]["title"] == "mug \ud83d"


def test_an_empty_path_is_ignored(execute: Execute, seed: Seed) -> None:
    seed("transit")
    assert [execute(ListTrackingsOperator, path=path)["rows"] for path in (None, "None", "")] == [1, 1, 1]


def test_memory_use_is_bounded_by_pages(sandbox: SandboxProcess, execute: Execute, tmp_path: Path) -> None:
    peaks = []
    for more in (6_000, 4_000):  # three pages, then five
        sandbox.seed(count=more, seed=more)
        tracemalloc.start()
        execute(ListTrackingsOperator, path=str(tmp_path / "rows.ndjson"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(lines(tmp_path / "rows.ndjson")) == 10_000
    assert peaks[1] < 1.2 * peaks[0]


# Filters -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-01 12:00:00+00:00",  # {{ data_interval_start }}
        "2026-03-01T12:00:00+00:00",  # {{ ts }}
        "2026-03-01T14:00:00.000000+02:00",
        "1772366400",
        1772366400,
    ],
    ids=str,
)
def test_a_time_may_be_in_any_format_that_templates_produce(execute: Execute, seed: Seed, time: Any) -> None:
    old, new = seed("transit", "pending")  # registered 48 hours ago, and now
    assert listed(execute, {"created_at_min": time}) == numbers([new])
    assert listed(execute, {"created_at_max": time}) == numbers([old])


@pytest.mark.parametrize(("archived", "found"), [("True", 1), ("False", 1), ("None", 2), (True, 1), (None, 2)])
def test_archived_may_be_the_text_of_a_boolean(
    sandbox: SandboxProcess, execute: Execute, seed: Seed, archived: Any, found: int
) -> None:
    first, _ = seed("transit", "delivered")
    execute(UpdateTrackingsOperator, shipments=first, changes={"archived": True})
    assert len(listed(execute, {"archived": archived})) == found


def test_numbers_and_orders_filter_shipments(execute: Execute, seed: Seed) -> None:
    first, _ = seed("transit", "delivered")
    assert listed(execute, {"numbers": [first["tracking_number"]]}) == numbers([first])
    assert len(listed(execute, {"orders": PERSONAL["order_id"]})) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"lang": "CN"},
        {"filters": {"lang": "cn"}},
        {"lang": "cn", "filters": {"lang": "CN"}},
        {"lang": "cn", "filters": {"lang": None}},
    ],
    ids=str,
)
def test_a_list_is_read_in_a_language(sandbox: SandboxProcess, execute: Execute, arguments: dict[str, Any]) -> None:
    parcel = {"carrier_code": "china-post", "tracking_number": "SBX-STUCK-L1"}
    sandbox.seed(shipments=[parcel | {"age_hours": 240}])
    [row] = execute(ListTrackingsOperator, include_raw=True, **arguments)["trackings"]
    assert not row["raw"]["origin_info"]["trackinfo"][0]["StatusDescription"].isascii()
    assert {call["query"]["lang"] for call in sandbox.calls()} == {"cn"}


@pytest.mark.parametrize("lang", [None, "None", ""])
def test_a_list_without_a_language_sends_none(sandbox: SandboxProcess, execute: Execute, lang: Any) -> None:
    execute(ListTrackingsOperator, lang=lang, filters={"lang": lang})
    assert all("lang" not in call["query"] for call in sandbox.calls())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lang": "eng"}, "lang must be two letters such as 'en', not 'eng'"),
        ({"filters": {"lang": "eng"}}, "lang must be two letters such as 'en', not 'eng'"),
        ({"lang": "en", "filters": {"lang": "cn"}}, r"lang and filters\['lang'\] differ: set only one of them"),
        ({"filters": {"colour": "red"}}, "unknown filter 'colour'; available: archived, "),
        ({"filters": {"page_size": "5"}}, "unknown filter 'page_size'"),
        (
            {"filters": {"created_at_min": "2026-03-01T12:00:00"}},
            "created_at_min must be Unix seconds, or .* time zone",
        ),
        ({"filters": {"numbers": [" "]}}, "numbers must be a list of texts that are neither blank nor contain a comma"),
        ({"filters": {"archived": "perhaps"}}, "archived must be True or False, not 'perhaps'"),
        ({"filters": "{'status': 'transit'}"}, "filters must be a mapping .* not str .*render_template_as_native_obj"),
        ({"filters": ["transit"]}, "filters must be a mapping of names to values, not list"),
        ({"filters": {1: 2}}, "filters must be a mapping of names to values"),
        ({"max_rows": "ten"}, "max_rows must be a number, 0 or more, not 'ten'"),
        ({"max_rows": -1}, "max_rows must be a number, 0 or more, not -1"),
        ({"max_rows": None}, "max_rows must be a number, 0 or more, not NoneType"),
        ({"path": 5}, "path must be text, not 5"),
        ({"include_raw": "yes"}, "include_raw must be True or False, not 'yes'"),
    ],
    ids=str,
)
def test_an_invalid_argument_is_named_before_any_call_or_file(
    execute: Execute, call_counts: CallCounts, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    file = tmp_path / "rows.ndjson"
    with pytest.raises(InvalidArgumentError, match=message):
        execute(ListTrackingsOperator, **{"path": str(file)} | arguments)
    assert call_counts() == {}
    assert not file.exists()
