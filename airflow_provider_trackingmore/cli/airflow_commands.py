"""The commands as ``airflow trackingmore``, which Airflow 3.2 and later read from the provider's metadata."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from airflow_provider_trackingmore.cli.arguments import Argument
from airflow_provider_trackingmore.cli.definition import COMMANDS, DESCRIPTION, EPILOG, Command


class _Arg(Arg):
    """An argument with all options of argparse; Airflow's own class has no ``const``."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument.flags)  # type: ignore[no-untyped-call]
        self.argument = argument

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the argument to a parser.

        :param parser: the parser of the command.
        """
        self.argument.add_to(parser)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands for Airflow's command line.

    :return: one group of commands.
    """
    return [
        GroupCommand(
            name="trackingmore",
            help="Read and change TrackingMore shipments",
            description=DESCRIPTION,
            epilog=EPILOG,
            subcommands=tuple(map(_to_airflow, COMMANDS)),
        )
    ]


def _to_airflow(command: Command) -> ActionCommand:
    return ActionCommand(
        name=command.name,
        help=command.help,
        description=command.description,
        epilog=EPILOG,
        func=_runner(command.name),
        args=tuple(map(_Arg, command.arguments)),
    )


def _runner(name: str) -> Callable[[argparse.Namespace], None]:
    def run_command(arguments: argparse.Namespace) -> None:
        from airflow_provider_trackingmore.cli.program import run

        sys.exit(run(name, arguments))

    return run_command
