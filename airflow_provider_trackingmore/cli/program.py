"""Runs a command: account in, exit code out. The one place that turns failures into a line and a code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from airflow_provider_trackingmore.cli.definition import DEBUG_VARIABLE, parser
from airflow_provider_trackingmore.cli.exits import CommandError, Exit, exit_code, explain, printable, reworded

PACKAGE = __name__.partition(".")[0]
PROG = f"python -m {PACKAGE}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name.

    :param argv: the arguments; None takes those of the process.
    :return: the exit code.
    """
    arguments = parser(PROG).parse_args(argv)
    return run(arguments.command, arguments)


def run(name: str, arguments: argparse.Namespace) -> int:
    """Run one command.

    :param name: its name.
    :param arguments: its arguments.
    :return: the exit code.
    """
    if name == "sandbox":
        # Another program with a command line of its own. It takes this process's place, and gets its signals.
        os.execv(sys.executable, [sys.executable, "-m", f"{PACKAGE}.sandbox", *arguments.arguments])  # noqa: S606 - no shell
    debug = arguments.debug or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    try:
        return _run(name, arguments, debug)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"trackingmore: {explain(error, _key_place(arguments))}\n")
        return exit_code(error)


def _run(name: str, arguments: argparse.Namespace, debug: bool) -> int:
    from airflow_provider_trackingmore.cli import account, commands, create, output
    from airflow_provider_trackingmore.client.client import TrackingMoreClient

    functions: dict[str, Callable[[TrackingMoreClient, argparse.Namespace], Exit]] = {
        "account": commands.account,
        "carriers": commands.carriers,
        "create": create.create,
        "detect": commands.detect,
        "get": commands.get,
        "list": commands.list_shipments,
    }
    if getattr(arguments, "include_raw", False):
        if arguments.output == "table":
            raise CommandError("--include-raw has no table: leave out --output table", Exit.USAGE)
        arguments.output = "ndjson"
    arguments.form = output.chosen_form(arguments.output)
    settings = account.settings(arguments.conn_id, os.environ)
    # Airflow has set its own logging up by now.
    _log_to_standard_error(debug)
    with TrackingMoreClient(settings) as client:
        return functions[name](client, arguments)


def _key_place(arguments: argparse.Namespace) -> str:
    from airflow_provider_trackingmore.cli.account import key_place

    return key_place(arguments.conn_id, os.environ)


class _ShortLines(logging.Handler):
    """Log lines for people, wherever standard error is at that moment: a progress bar moves it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"trackingmore: {reworded(printable(self.format(record)))}\n")


def _log_to_standard_error(debug: bool) -> None:
    logger = logging.getLogger(PACKAGE)
    logger.handlers = [_ShortLines()]
    logger.propagate = False
    logger.disabled = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO if sys.stderr.isatty() else logging.WARNING)
