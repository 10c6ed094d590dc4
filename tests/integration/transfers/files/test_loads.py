"""What the files contain after one load, and after the next one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.loading.rows import RowOptions, build_record
from airflow_provider_trackingmore.loading.schema import CONTENT_COLUMNS, EVENTS, STATUS_CHANGES, TRACKINGS
from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.integration.transfers.files.lake import Lake, Load

Seed = Callable[..., list[dict[str, Any]]]
FORMATS = ("ndjson.gz", "ndjson", "parquet")


def number_of(result: dict[str, Any], table: str) -> dict[str, int]:
    found: dict[str, int] = result["rows"][table]
    return found


def as_stored(value: Any) -> Any:
    """A value of a table as the pure rows have it: local times as text."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") and value.tzinfo is None else value


def answer_now() -> dict[str, Any]:
    """What the account says now, in the form of the tables: number -> (content, current event keys)."""
    with TrackingMoreHook() as hook:
        records = [build_record(tracking, RowOptions("trackingmore_default")) for tracking in hook.list_trackings()]
    return {record.key.tracking_number: (record.content, set(record.event_keys)) for record in records}


def current_events(lake: Lake, file_format: str = "ndjson") -> dict[str, set[str]]:
    current: dict[str, set[str]] = {}
    for event in lake.table("tracking_events", file_format):
        if event["superseded_at"] is None:
            current.setdefault(event["tracking_number"], set()).add(event["event_key"])
    return current


def agrees_with_account(lake: Lake, file_format: str = "ndjson") -> bool:
    names = [column.name for column in CONTENT_COLUMNS]
    current = current_events(lake, file_format)
    rows = {
        row["tracking_number"]: (
            tuple(as_stored(row[name]) for name in names),
            current.get(row["tracking_number"], set()),
        )
        for row in lake.table("trackings", file_format)
    }
    return rows == answer_now()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_load_writes_what_the_account_says_in_each_format(
    load: Load, lake: Lake, seed: Seed, file_format: str
) -> None:
    seed("transit", "delivered", "exception", "expired", "pending")
    result = load(file_format=file_format)
    assert number_of(result, "trackings") == {"new": 5, "changed": 0, "unchanged": 0}
    assert agrees_with_account(lake, "parquet" if file_format == "parquet" else "ndjson")
    assert [file["path"].rsplit("-", 1)[1].partition(".")[2] for file in lake.manifests()[0]["files"]] == [
        file_format
    ] * 3
    lake.check()


def test_all_formats_have_the_same_rows(load: Load, tmp_path: Path, seed: Seed) -> None:
    seed("transit", "delivered", "exception")
    found = []
    for name in FORMATS:
        lake = Lake(str(tmp_path / name))
        load(path=lake.path, file_format=name, include_personal_data=True, include_raw=True)
        found.append(lake.tables("parquet" if name == "parquet" else "ndjson"))
    assert found[0] == found[1] == found[2]
    assert [set(rows[0]) for rows in found[0].values()] == [
        set(table.names) for table in (TRACKINGS, EVENTS, STATUS_CHANGES)
    ]


def test_the_manifest_says_what_was_loaded(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    seed("transit")
    results = [load(stream="nightly"), load(stream="nightly")]
    first, second = lake.manifests()
    assert results[0]["manifest"] == f"{lake.path}/_manifests/nightly/0000000001.json"
    assert (first["sequence"], first["previous"], second["sequence"], second["previous"]) == (1, None, 2, 1)
    for manifest, result in zip((first, second), results, strict=True):
        assert {name: manifest[name] for name in ("window", "cursor", "stream", "account", "loaded_at")} == {
            name: result[name] for name in ("window", "cursor", "stream", "account", "loaded_at")
        }
    assert first["files"][0]["path"].startswith("trackings/load_date=2026-03-02/nightly-0000000001-00001-")
    assert first["schema_version"] == 1


def test_a_load_that_finds_nothing_new_writes_no_rows(load: Load, lake: Lake, seed: Seed) -> None:
    seed("transit", "delivered")
    before, again = load(), load()
    assert number_of(before, "tracking_events")["new"] == number_of(again, "tracking_events")["unchanged"] > 0
    assert [again["files"], lake.manifests()[1]["files"]] == [0, []]
    assert number_of(load(full_refresh=True), "trackings") == {"new": 0, "changed": 0, "unchanged": 2}
    assert lake.rows_of_files("trackings") == 2


def test_the_same_answers_at_the_same_time_give_the_same_bytes(
    load: Load, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    sandbox.seed(count=150, seed=4)
    for name in FORMATS:
        lakes = [Lake(str(tmp_path / f"{name}-{number}")) for number in (1, 2)]
        for lake in lakes:
            load(path=lake.path, file_format=name, rows_per_file=50)
        assert lakes[0].files() == lakes[1].files()
        assert len(lakes[0].files()) > 10


def test_rows_are_sorted_and_a_file_has_no_more_than_asked_for(load: Load, lake: Lake, sandbox: SandboxProcess) -> None:
    sandbox.seed(count=230, seed=4)
    load(rows_per_file="100")
    files = lake.manifests()[0]["files"]
    assert [file["rows"] for file in files if file["table"] == "trackings"] == [100, 100, 30]
    for file in files:
        lines = gzip.decompress(Path(lake.path, file["path"]).read_bytes()).decode().splitlines()
        keys = [
            (row["carrier_code"], row["tracking_number"], row.get("event_key", "")) for row in map(json.loads, lines)
        ]
        assert keys == sorted(keys)
        assert len(keys) == file["rows"]


def test_history_grows_while_each_event_is_written_once(load: Load, lake: Lake, sandbox: SandboxProcess) -> None:
    sandbox.seed(count=20, seed=6, ages_days=(0, 3))
    for _ in range(7):
        load()
        assert agrees_with_account(lake)
        sandbox.advance(hours=30)
    events = lake.table("tracking_events")
    assert lake.rows_of_files("tracking_events") == len(events) > 100
    assert len(lake.table("trackings")) == 20 < lake.rows_of_files("trackings")
    lake.check()


def test_each_change_of_status_is_written_once(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    seed("soon")
    for _ in range(8):
        load()
        sandbox.advance(days=1)
    changes = lake.table("tracking_status_changes")
    assert [row["previous_status"] for row in changes] == [None, *(row["status"] for row in changes[:-1])]
    assert changes[-1]["status"] == "delivered"


def test_a_reworded_event_stays_and_is_superseded(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    [parcel] = seed("transit")
    load()
    before = {row["event_key"]: row["superseded_at"] for row in lake.table("tracking_events")}
    original = sandbox.reword_event(**parcel, description="Scanned")["before"]["description"]
    sandbox.advance(hours=1)
    result = load()
    assert number_of(result, "tracking_events") == {"new": 1, "changed": 1, "unchanged": len(before) - 1}
    [reworded] = [row for row in lake.table("tracking_events") if row["superseded_at"]]
    assert (reworded["description"], reworded["superseded_at"].isoformat()) == (original, result["loaded_at"])
    assert agrees_with_account(lake)
    sandbox.reword_event(**parcel, description=original)
    sandbox.advance(hours=1)
    result = load()
    assert number_of(result, "tracking_events") == {"new": 0, "changed": 2, "unchanged": len(before) - 1}
    [superseded] = [row for row in lake.table("tracking_events") if row["superseded_at"]]
    assert superseded["description"] == "Scanned"
    assert agrees_with_account(lake)
    assert lake.rows_of_files("tracking_events") == len(before) + 1


def test_a_withdrawn_event_is_superseded(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    [parcel] = seed("transit")
    load()
    sandbox.drop_event(**parcel)
    result = load()
    assert number_of(result, "tracking_events")["changed"] == 1
    assert current_events(lake) == {number: keys for number, (_, keys) in answer_now().items()}


def test_a_shipment_that_reopens_months_later_gets_only_its_new_events(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    [parcel, _] = seed("delivered", "delivered#2")
    for _ in range(3):
        load()
        sandbox.advance(days=5)
    sandbox.advance(days=100)
    seed("transit")
    assert load()["open"] == 1
    sandbox.reopen(**parcel, updated_at="now")
    sandbox.advance(hours=2)
    before = lake.rows_of_files("tracking_events")
    result = load()
    assert number_of(result, "trackings") == {"new": 0, "changed": 1, "unchanged": 1}
    assert number_of(result, "tracking_events")["new"] == 1 == lake.rows_of_files("tracking_events") - before
    assert agrees_with_account(lake)


def test_only_months_that_change_are_written_again(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    seed("delivered")
    load()
    sandbox.advance(days=40)
    seed("delivered#2")
    load()
    months = lake.files()
    assert [name.rpartition("/")[2][:7] for name in sorted(months) if "_state" in name and ".gz" in name] == [
        "2026-02",
        "2026-04",
    ]


def test_of_each_month_the_state_of_the_last_two_loads_is_kept(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    """So the newest manifest can be removed, and each load can continue from the one before."""
    seed("delivered")
    load()
    sandbox.advance(days=40)
    sizes = []
    for number in range(2, 9):
        seed(f"transit#{number}")
        load()
        sandbox.advance(hours=1)
        sizes.append(sorted(name.rpartition("/")[2][:18] for name in lake.files() if name.endswith((".bin", ".gz"))))
    state = [name for name in sizes[-1] if name.startswith("20")]
    assert state == ["2026-02-0000000001"] * 2 + ["2026-04-0000000007"] * 2 + ["2026-04-0000000008"] * 2
    assert len({len([name for name in found if name.startswith("20")]) for found in sizes[1:]}) == 1
    lake.check()
    max(Path(lake.path).glob("_manifests/*/*.json")).unlink()
    result = load()
    assert (result["sequence"], number_of(result, "trackings")["new"]) == (8, 1)
    assert agrees_with_account(lake)


def test_a_load_is_complete_where_old_state_cannot_be_removed(
    load: Load, lake: Lake, seed: Seed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no right to delete")

    monkeypatch.setattr(LocalFileSystem, "rm_file", refuse)
    for number in range(3):
        seed(f"transit#{number}")
        load()
    assert len(lake.table("trackings")) == 3
    assert "could not be removed: no right to delete" in caplog.text


def test_a_deleted_shipment_is_missing_until_it_comes_back(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    [parcel, _] = seed("transit", "transit#2")
    load()
    before = lake.table("trackings")
    sandbox.delete(**parcel)
    sandbox.advance(hours=1)
    result = load()
    assert result["missing"] == 1
    after = lake.table("trackings")
    assert [row["missing_since"] and row["missing_since"].isoformat() for row in after] == [result["loaded_at"], None]
    unaffected = [name for name in after[0] if name not in ("missing_since", "changed_at")]
    assert [after[0][name] for name in unaffected] == [before[0][name] for name in unaffected]
    assert all(row["superseded_at"] is None for row in lake.table("tracking_events"))
    assert load()["rows"]["trackings"] == {"new": 0, "changed": 0, "unchanged": 1}
    sandbox.seed(shipments=[parcel | {"age_hours": 48}])
    assert load()["rows"]["trackings"]["changed"] == 1
    assert [row["missing_since"] for row in lake.table("trackings")] == [None, None]


@pytest.mark.parametrize("scenario", ["transit", "delivered"])
def test_a_shipment_that_is_registered_again_in_another_month_continues(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess, scenario: str
) -> None:
    """A load has noticed that the first one is missing, and that the second one is settled."""
    [parcel, _] = seed(scenario, "transit#2")
    first = load()
    if scenario == "delivered":
        sandbox.advance(days=10)
        load()
    sandbox.delete(**parcel)
    load()
    for number in (3, 4):  # in months between
        sandbox.advance(days=40)
        seed(f"transit#{number}")
        load()
    sandbox.seed(shipments=[parcel | {"age_hours": 48, "scenario": "transit"}])
    result = load()
    assert number_of(result, "trackings")["new"] == 0
    assert number_of(result, "trackings")["changed"] >= 1
    [row] = [row for row in lake.table("trackings") if row["tracking_number"] == parcel["tracking_number"]]
    assert (row["first_seen_at"].isoformat(), row["missing_since"]) == (first["loaded_at"], None)
    changes = [
        row["previous_status"]
        for row in lake.table("tracking_status_changes")
        if row["tracking_number"] == parcel["tracking_number"]
    ]
    assert changes.count(None) == 1
    assert len(lake.table("tracking_events")) == lake.rows_of_files("tracking_events")
    assert current_events(lake) == {number: keys for number, (_, keys) in answer_now().items()}
    again = number_of(load(full_refresh=True), "trackings")
    assert again == {"new": 0, "changed": 0, "unchanged": 4}, "it is in the files of the new month alone"
    lake.check()


def test_a_pause_that_is_longer_than_max_open_loses_nothing(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    seed("transit")
    load(max_open=5 * 86_400)
    sandbox.switch(updated_at_delivered="null")
    sandbox.advance(hours=2)
    seed("delivered")
    sandbox.advance(days=9)
    result = load(max_open=5 * 86_400)
    assert number_of(result, "trackings")["new"] == 1
    assert agrees_with_account(lake)


def test_missing_shipments_are_ignored_on_request(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    [parcel] = seed("transit")
    load(mark_missing="False")
    sandbox.delete(**parcel)
    assert load(mark_missing="False")["files"] == 0
    assert lake.table("trackings")[0]["missing_since"] is None


def test_nothing_that_was_known_is_lost_to_a_null(load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess) -> None:
    [parcel] = seed("transit")
    load()
    known = lake.table("trackings")[0]["updated_at"]
    sandbox.add_event(**parcel, description="Delayed by weather", updated_at="null")
    load()
    [row] = lake.table("trackings")
    assert (row["updated_at"], row["order_id"]) == (known, "A-1001")
    assert lake.query("SELECT updated_at FROM tracking_rows ORDER BY changed_at DESC LIMIT 1") == [{"updated_at": None}]


def test_a_substatus_that_arrives_later_is_added_to_its_event(
    load: Load, lake: Lake, seed: Seed, sandbox: SandboxProcess
) -> None:
    seed("transit")
    sandbox.switch(substatus="null")
    count = number_of(load(), "tracking_events")["new"]
    sandbox.switch(substatus="filled")
    sandbox.advance(hours=1)
    result = load()
    assert number_of(result, "tracking_events") == {"new": 0, "changed": count, "unchanged": 0}
    rows = lake.table("tracking_events")
    assert len(rows) == count
    assert all(row["substatus"] and row["first_seen_at"].isoformat() < result["loaded_at"] for row in rows)
    sandbox.switch(substatus="null")
    assert number_of(load(), "tracking_events") == {"new": 0, "changed": 0, "unchanged": count}
    assert lake.table("tracking_events") == rows
    assert all(row["superseded_at"] is None for row in rows)


def test_texts_are_left_out_on_request_and_added_when_they_are_wanted(load: Load, lake: Lake, seed: Seed) -> None:
    seed("transit")
    load(event_texts="drop")
    assert {row["description"] for row in lake.table("tracking_events")} == {None}
    assert number_of(load(), "tracking_events")["new"] == 0
    rows = lake.table("tracking_events")
    assert all(row["description"] for row in rows)
    load(event_texts="drop")
    assert lake.table("tracking_events") == rows


def test_personal_data_and_the_vendors_record_are_written_only_on_request(
    load: Load, lake: Lake, seed: Seed, personal_data: list[str]
) -> None:
    seed("transit")
    load(file_format="ndjson")
    written = "".join(
        content.decode(errors="replace") for name, content in lake.files().items() if not name.endswith(".gz")
    )
    assert [text for text in personal_data if text in written] == ["A-1001"]  # the order is none
    load(file_format="ndjson", include_personal_data="True")
    [row] = lake.table("trackings")
    assert (row["customer_name"], row["customer_email"], row["raw"]) == (
        "Ada Lovelace",
        "ada.lovelace@example.com",
        None,
    )
    load(file_format="ndjson", include_raw=True)
    assert json.loads(lake.table("trackings")[0]["raw"])["tracking_number"] == row["tracking_number"]


def test_only_the_tables_that_were_asked_for_are_written(load: Load, lake: Lake, seed: Seed) -> None:
    seed("transit")
    result = load(tables="trackings")
    assert list(result["rows"]) == ["trackings"] == [file["table"] for file in lake.manifests()[0]["files"]]


def test_streams_share_a_folder(load: Load, lake: Lake, seed: Seed) -> None:
    seed("transit", "delivered")
    results = [load(), load(filters={"status": "delivered"}), load(stream="Büro/Nacht")]
    assert len({result["stream"] for result in results}) == 3
    assert [result["sequence"] for result in results] == [1, 1, 1]
    assert [row["status"] for row in lake.table("trackings")] == ["delivered", "transit"]
    assert len(lake.table("tracking_events")) < lake.rows_of_files("tracking_events")
    lake.check()


def test_the_asset_and_the_log_get_counts_and_no_rows(load: Load, lake: Lake, seed: Seed) -> None:
    [parcel] = seed("transit")
    assert parcel["tracking_number"] not in json.dumps(load())


def test_a_relative_path_begins_in_the_working_directory(
    lake: Lake, load: Load, seed: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed("transit")
    monkeypatch.chdir(tmp_path)
    manifest = Path(load(path="lake")["manifest"])  # absolute: the next task may have another working directory
    assert manifest.is_relative_to(lake.path)
    assert json.loads(manifest.read_bytes()) in lake.manifests()
