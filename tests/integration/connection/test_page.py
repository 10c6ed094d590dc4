"""docs/connection.md: each console block is run in a shell, and its tables are compared with the code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from airflow.models import Connection
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.client.settings import PACING_CHOICES, REDIS_SCHEMES, ClientSettings
from airflow_provider_trackingmore.events.webhook_settings import WebhookSettings
from airflow_provider_trackingmore.get_provider_info import CLIENT_FIELDS, CONNECTION_TYPE
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

from .conftest import ROOT, VERSION

PAGE = (ROOT / "docs" / "connection.md").read_text(encoding="utf-8")
FIELDS = CONNECTION_TYPE["conn-fields"]
END = "~end~"


def table(first_heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading."""
    (found,) = re.findall(rf"^\| {first_heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in found.splitlines()]


def steps() -> list[list[str]]:
    """Return each command of the page, with the output that the page shows."""
    found: list[list[str]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append([line[2:], ""])
            else:
                found[-1][1] += line
    return found


def expected(shown: str) -> re.Pattern[str]:
    """Return a pattern in which ``...`` is any text, or any lines if it is alone on its line."""
    lines = [r".*".join(map(re.escape, line.rstrip().split("..."))) for line in shown.splitlines()]
    return re.compile("".join(r"(?:.*\n)*?" if line == ".*" else line + r"[ ]*\n" for line in lines) + r"\s*")


@pytest.mark.slow
def test_the_page_shows_what_a_shell_shows(
    trackingmore_sandbox: SandboxProcess, airflow_environment: dict[str, str], tmp_path: Path
) -> None:
    port = trackingmore_sandbox.base_url.removesuffix("/v2").rpartition(":")[2]

    def for_this_run(text: str) -> str:
        return text.replace("8700", port).replace("try-it", trackingmore_sandbox.api_key)

    (connections,) = (shown for command, shown in steps() if command == "cat connections.json\n")
    (tmp_path / "connections.json").write_text(for_this_run(connections))
    done = subprocess.run(
        ["bash"],
        input="".join(f"{for_this_run(command)}echo {END}$?\n" for command, _ in steps()),
        text=True,
        capture_output=True,
        cwd=tmp_path,
        env={**airflow_environment, "TRACKINGMORE_PACING_DIR": str(tmp_path)},
        timeout=900,
    )
    seen = re.split(rf"{END}(\d+)\n", done.stdout)
    assert len(seen) == 2 * len(steps()) + 1, done.stdout + done.stderr
    failed = []
    for (command, shown), output, code in zip(steps(), seen[::2], seen[1::2], strict=False):
        assert expected(for_this_run(shown)).fullmatch(output), (
            f"$ {command}{output}{done.stderr}\nbut the page has\n{shown}"
        )
        if "connections test" in command:
            failed.append(int(code))
        else:
            assert (command, int(code)) == (command, 0)
            assert command.startswith("cat ") or trackingmore_sandbox.api_key not in output
    if VERSION < (3, 0):
        assert failed == [1, 0, 0, 0], "Airflow 2.11 ends with 0 after a failed test"
    if VERSION >= (3, 3):
        assert failed == [1, 0, 1, 1]
    assert trackingmore_sandbox.api_key not in done.stderr


def test_the_page_has_every_field_with_its_default_and_bounds() -> None:
    rows = {row[1].strip("`"): row for row in table("Field")}
    assert list(rows) == ["password", "host", *FIELDS]
    labels = {**CONNECTION_TYPE["ui-field-behaviour"]["relabeling"], **{n: f["label"] for n, f in FIELDS.items()}}
    placeholders = CONNECTION_TYPE["ui-field-behaviour"]["placeholders"]
    settings = ClientSettings(api_key="any")
    for name, (label, _, default, bounds, meaning) in rows.items():
        assert label == labels[name]
        if name == "host":
            assert placeholders["host"] == settings.base_url
            assert f"`{settings.base_url}` at TrackingMore" in meaning
        if name not in FIELDS:
            continue
        if name in CLIENT_FIELDS:
            value = getattr(settings, name) or None
        else:
            is_off = name == "webhook_secret"
            value = None if is_off else getattr(WebhookSettings("16 or more signs"), name.removeprefix("webhook_"))
        shown = f"{value:g}" if isinstance(value, (int, float)) and value is not True else str(value).lower()
        assert default.strip("`") == shown
        if named := re.search(r"From (\S+ to \d+)(, whole)?", FIELDS[name]["description"]):
            assert bounds == named[1] + (named[2] or "")
    urls = ", ".join(f"`{scheme}://…`" for scheme in REDIS_SCHEMES)
    assert rows["pacing"][3] == ", ".join([*(f"`{choice}`" for choice in PACING_CHOICES), f"a Redis URL ({urls})"])
    not_a_field = {"api_key", "base_url", "user_agent"}
    assert {field.name for field in fields(ClientSettings)} - not_a_field == set(CLIENT_FIELDS)


@pytest.mark.parametrize(("uri", "result"), table("URI"))
def test_a_uri_is_read_as_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, result: str) -> None:
    monkeypatch.setenv("TRACKINGMORE_PACING_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_BY_URI", uri.strip("`"))
    meant: dict[str, Callable[[ClientSettings], bool]] = {
        "TrackingMore's address": lambda read: read == ClientSettings(api_key="KEY"),
        "`https://api": lambda read: read == ClientSettings(api_key="KEY"),
        "extras, as text": lambda read: (read.requests_per_second, read.verify) == (3.0, False),
        "`https://gateway": lambda read: read.base_url == "https://gateway.example:8443/v2",
        "`http://127": lambda read: read.base_url == "http://127.0.0.1:8700/v2",
        "proxies": lambda read: read.proxies == {"https": "http://proxy.example:3128"},
    }
    with TrackingMoreHook("by_uri") as hook:
        if result.startswith("unreadable"):
            with pytest.raises(AirflowException, match="Invalid connection string"):
                Connection(uri=uri.strip("`"))  # noqa: AIR311 - 2.11 has no other
        elif result.startswith("refused"):
            with pytest.raises(InvalidSettingsError, match="no API key"):
                hook.get_conn()
        else:
            settings = hook.get_conn().settings
            assert settings.api_key == "KEY"
            assert [check(settings) for start, check in meant.items() if result.startswith(start)] == [True]


def test_the_screenshots_exist_and_are_small() -> None:
    pictures = re.findall(r"!\[.+?\]\((images/.+?)\)", PAGE)
    assert len(pictures) == 2
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size < 200_000
