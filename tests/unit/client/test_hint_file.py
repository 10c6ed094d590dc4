"""The file in which the API server writes hints for watchers on its host."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.hint_file import KEPT_HINTS, HintFile

KEYS = [ShipmentKey("usps", f"N{number}") for number in range(300)]


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path))
    return tmp_path


def test_each_reader_reads_each_hint_once() -> None:
    HintFile("a").add(KEYS[:1])
    first, second = HintFile("a"), HintFile("a")
    assert first.read_new() == [], "what was there before is old"
    HintFile("a").add(KEYS[1:3])
    assert first.read_new() == KEYS[1:3]
    HintFile("a").add(KEYS[3:4])
    assert first.read_new() == KEYS[3:4]
    assert first.read_new() == []
    assert second.read_new() == KEYS[1:4]
    assert HintFile("b").read_new() == []


def test_the_newest_are_kept(directory: Path) -> None:
    reader = HintFile("a")
    HintFile("a").add(KEYS)
    assert reader.read_new() == KEYS[-KEPT_HINTS:]
    assert [file.stat().st_size < 20_000 for file in directory.iterdir()] == [True]


@pytest.mark.parametrize(
    "content", [b"", b"[[1, 2", b"null", b"[1]", b'{"a": 1}', b'[[1e999, "a", "b"]]', b"[" * 90_000, b"\xff"]
)
def test_a_damaged_file_is_replaced(directory: Path, content: bytes) -> None:
    reader = HintFile("a")
    HintFile("a").add(KEYS[:1])
    (file,) = directory.iterdir()
    file.write_bytes(content)
    assert reader.read_new() == []
    HintFile("a").add(KEYS[1:2])
    assert reader.read_new() == KEYS[1:2]


def test_an_unusable_directory_is_not_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "file").write_text("")
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(directory / "file"))
    HintFile("a").add(KEYS[:1])
    assert HintFile("a").read_new() == []
