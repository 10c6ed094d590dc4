"""One definition, read by argparse and by Airflow."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from airflow_provider_trackingmore.cli import definition
from airflow_provider_trackingmore.cli.definition import COMMANDS, parser
from airflow_provider_trackingmore.cli.exits import MEANINGS


def parse(*arguments: str) -> argparse.Namespace:
    return parser("tm").parse_args(arguments)


def texts() -> Iterator[str]:
    for command in COMMANDS:
        yield from (command.help, command.description, *(argument.options["help"] for argument in command.arguments))
    yield from (definition.DESCRIPTION, definition.EPILOG)


def test_no_help_text_holds_what_airflow_takes_for_markup() -> None:
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


def test_numbers_are_listed_with_commas_or_blanks() -> None:
    assert parse("list", "--numbers", "A,B", "C").numbers == [["A", "B"], ["C"]]


def test_a_day_as_an_end_is_the_end_of_the_day() -> None:
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
    ],
)
def test_wrong_arguments_end_with_2(typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*typed)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_what_follows_sandbox_is_handed_on_as_it_stands() -> None:
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
    "typed", [["--help"], ["list", "--help"], ["list", "--limit", "none"]], ids=["help", "its help", "a mistake"]
)
def test_help_is_there_at_once(typed: list[str]) -> None:
    """Seen by what is imported and not by the clock: neither Airflow nor an HTTP library nor rich."""
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
