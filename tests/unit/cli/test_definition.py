"""The definition of the commands, as argparse and Airflow read it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trackingmore.cli import definition
from airflow_provider_trackingmore.cli.definition import COMMANDS
from airflow_provider_trackingmore.cli.exit_codes import MEANINGS
from airflow_provider_trackingmore.cli.parser import parse_arguments


def parse(*arguments: str) -> argparse.Namespace:
    return parse_arguments("tm", arguments)


def texts() -> Iterator[str]:
    for command in COMMANDS:
        yield from (command.help, command.description, *(argument.options["help"] for argument in command.arguments))
    yield from (definition.DESCRIPTION, definition.EPILOG)


def test_no_help_text_contains_markup_of_rich() -> None:
    assert not [text for text in texts() if "[" in text]


def test_the_help_of_every_command_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        if command.name == "sandbox":
            continue
        with pytest.raises(SystemExit) as ended:
            parse(command.name, "--help")
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert all(f"{code.value:<4}{meaning}" in shown for code, meaning in MEANINGS.items())


def test_no_command_takes_a_key() -> None:
    flags = {flag for command in COMMANDS for argument in command.arguments for flag in argument.flags}
    assert not [flag for flag in flags if "key" in flag or "password" in flag or "token" in flag]


@pytest.mark.parametrize(("typed", "archived"), [((), None), (("--archived",), True), (("--not-archived",), False)])
def test_archived_is_yes_no_or_both(typed: tuple[str, ...], archived: bool | None) -> None:
    assert parse("list", *typed).archived is archived


def test_numbers_are_separated_by_commas_or_blanks() -> None:
    assert parse("list", "--numbers", "A,B", "C").numbers == [["A", "B"], ["C"]]


def test_a_date_as_the_end_of_a_range_includes_the_day() -> None:
    found = parse("list", "--created-since", "2026-03-01", "--created-until", "2026-03-01")
    assert (found.created_at_max - found.created_at_min).total_seconds() == 86_399


@pytest.mark.parametrize(
    "typed",
    [
        (),
        ("unknown",),
        ("detect",),
        ("get", "usps"),
        ("create",),
        ("list", "--status", "unknown"),
        ("list", "--limit", "0"),
        ("list", "--limit", "many"),
        ("list", "--numbers", "A,,B"),
        ("list", "--created-since", "soon"),
        ("carriers", "--lang", "de"),
        ("account", "--output", "xml"),
        ("update", "a.csv", "--set", "title"),
        ("update", "a.csv", "--set", "=x"),
        ("wait", "a.csv", "--every", "0s"),
        ("wait", "a.csv", "--every", "999999w"),
        ("wait", "a.csv", "--timeout", "3651d"),
        ("wait", "a.csv", "--for", "arrived"),
        ("delete",),
        ("load", "sql"),
        ("load", "ftp", "host"),
        ("load", "sql", "warehouse", "--settle", "soon"),
        ("load", "sql", "warehouse", "--filter", "status"),
        ("load", "sql", "warehouse", "--event-texts", "no"),
        ("load", "files", "lake", "--file-format", "avro"),
    ],
)
def test_invalid_arguments_end_with_2(typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*typed)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_everything_after_sandbox_is_passed_on() -> None:
    for typed in (["--port", "0", "--no-limits"], ["--help"], ["-h"], ["--switch", "tz=+00:00"], []):
        assert parse("sandbox", *typed).arguments == typed


def test_airflow_reads_the_same_commands() -> None:
    """In a process of its own: building Airflow's parser asks all providers."""
    code = """
import argparse, json, sys
try:
    from airflow.cli.cli_config import CLICommand
except ImportError:
    sys.exit(77)
from airflow.cli.cli_parser import _add_command
from airflow_provider_trackingmore.cli.airflow_commands import get_cli_commands
above = argparse.ArgumentParser()
below = above.add_subparsers()
for group in get_cli_commands():
    _add_command(below, group)
found = above.parse_args(["trackingmore", "list", "--not-archived", "--numbers", "A,B", "--limit", "3"])
rest = above.parse_args(["trackingmore", "sandbox", "--port", "0", "--help"])
print(json.dumps([found.subcommand, found.archived, found.numbers, found.limit, rest.arguments, callable(found.func)]))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode == 77:
        pytest.skip("Airflow before 3.2 takes no commands from providers")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == ('["list", false, [["A", "B"]], 3, ["--port", "0", "--help"], true]'), (
        result.stdout
    )


@pytest.mark.parametrize(
    "typed",
    [["--help"], ["list", "--help"], ["list", "--limit", "none"], ["--version"]],
    ids=["help", "help of a command", "invalid", "version"],
)
def test_help_and_version_import_nothing_heavy(typed: list[str]) -> None:
    """Judged by what is imported: neither Airflow nor an HTTP library nor rich."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['tm', *{typed!r}]\n"
        "try:\n"
        "    runpy.run_module('airflow_provider_trackingmore', run_name='__main__')\n"
        "except SystemExit:\n"
        "    heavy = {'airflow', 'requests', 'tenacity', 'rich', 'pendulum', 'fastapi'} & set(sys.modules)\n"
        "    sys.stderr.write(f'heavy: {sorted(heavy)}')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.endswith("heavy: []"), result.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("lst",), "there is no command 'lst'; did you mean 'list'? The commands are account, carriers, "),
        (("list", "--stauts", "delivered"), "there is no option --stauts; did you mean '--status'?"),
        (("list", "--status", "delivred"), "expired; did you mean 'delivered'?"),
        (("account", "--output", "jason"), "'jason' is not one of table, ndjson, json, csv; did you mean 'json'?"),
        (("carriers", "dhl"), "too many arguments: dhl"),
        (("get", "ups"), "the following arguments are required: NUMBER"),
    ],
)
def test_a_mistake_is_explained_in_two_lines(
    typed: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(*typed)
    message, usage = capsys.readouterr().err.splitlines()
    assert said in message
    assert usage.startswith("Usage: tm ")


def test_the_usage_of_every_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        if command.name == "sandbox":
            continue
        with pytest.raises(SystemExit):
            parse(command.name, "--help")
        usage, blank, *_ = capsys.readouterr().out.splitlines()
        assert usage.startswith(f"usage: tm {command.name} [OPTIONS]")
        assert blank == ""


def test_the_columns_of_every_command_are_fields_of_it() -> None:
    for command in COMMANDS:
        assert set(command.columns) <= set(command.fields)
        assert len(set(command.fields)) == len(command.fields)


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("tm c", {"carriers", "count", "create"}),
        ("tm list --status d", {"delivered"}),
        ("tm list --output ", {"table", "ndjson", "json", "csv"}),
        ("tm wait a.csv --fo", {"--for"}),
    ],
)
def test_a_shell_completes_commands_options_and_values(line: str, completions: set[str], tmp_path: Path) -> None:
    """Argcomplete's protocol: the line in the environment, the completions on file descriptor 8."""
    found = tmp_path / "completions"
    environment = os.environ | {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    environment |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(found)}
    code = "import sys; from airflow_provider_trackingmore.cli.program import main; sys.argv = ['tm']; main()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert {word.strip() for word in found.read_text().splitlines()} == completions
