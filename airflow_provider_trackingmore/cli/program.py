# PYTHON_ARGCOMPLETE_OK
"""Run a command, and turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_trackingmore.cli.arguments import DEBUG_VARIABLE
from airflow_provider_trackingmore.cli.definition import COMMANDS
from airflow_provider_trackingmore.cli.exit_codes import ExitCode, exit_code
from airflow_provider_trackingmore.cli.messages import explain, printable
from airflow_provider_trackingmore.cli.parser import parse_arguments

if TYPE_CHECKING:
    from airflow_provider_trackingmore.client.client import TrackingMoreClient

PACKAGE = __name__.partition(".")[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param argv: the arguments; None takes those of the process.
    :return: the exit code.
    """
    script = Path(sys.argv[0]).name
    prog = f"python -m {PACKAGE}" if script == "__main__.py" else script
    arguments = parse_arguments(prog, sys.argv[1:] if argv is None else argv)
    return run(arguments.command, arguments)


def run(name: str, arguments: argparse.Namespace) -> int:
    """Run a command.

    :param name: its name.
    :param arguments: its arguments.
    :return: the exit code.
    """
    if name == "sandbox":
        # A program with its own command line. It replaces this process, so that it receives its signals.
        os.execv(sys.executable, [sys.executable, "-m", f"{PACKAGE}.sandbox", *arguments.arguments])  # noqa: S606 - no shell
    debug = arguments.debug or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    try:
        return _run(name, arguments, debug)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"trackingmore: {explain(error, _key_source(arguments))}\n")
        return exit_code(error)


def _run(name: str, arguments: argparse.Namespace, debug: bool) -> int:
    from airflow_provider_trackingmore.cli import account, bulk, load, output, queries, wait
    from airflow_provider_trackingmore.client.client import TrackingMoreClient

    functions: dict[str, Callable[[TrackingMoreClient, argparse.Namespace], ExitCode]] = {
        "account": queries.account,
        "carriers": queries.carriers,
        "count": queries.count,
        "create": bulk.create,
        "delete": bulk.delete,
        "detect": queries.detect,
        "get": queries.get,
        "load": load.load,
        "list": queries.list_shipments,
        "update": bulk.update,
        "wait": wait.wait,
    }
    (command,) = (command for command in COMMANDS if command.name == name)
    output.check_output(command, arguments)
    settings = account.settings(arguments.conn_id, os.environ)
    # After the import of Airflow, which sets up its own logging.
    _log_to_standard_error(debug)
    with TrackingMoreClient(settings, component="command line") as client:
        return functions[name](client, arguments)


def _key_source(arguments: argparse.Namespace) -> str:
    from airflow_provider_trackingmore.cli.account import key_source

    return key_source(arguments.conn_id, os.environ)


class _OneLineHandler(logging.Handler):
    """Writes log messages to the current standard error; a progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"trackingmore: {printable(self.format(record))}\n")


def _log_to_standard_error(debug: bool) -> None:
    logger = logging.getLogger(PACKAGE)
    logger.handlers = [_OneLineHandler()]
    logger.propagate = False
    logger.disabled = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO if sys.stderr.isatty() else logging.WARNING)
