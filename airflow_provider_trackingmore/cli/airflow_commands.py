"""The commands as ``airflow trackingmore``: what Airflow 3.2 and later read from the metadata, under ``cli``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from airflow_provider_trackingmore.cli.definition import COMMANDS, DESCRIPTION, EPILOG, Argument, Command, add_argument


class _Arg(Arg):
    """An argument with everything that argparse takes: Airflow's own has no ``const``."""

    def __init__(self, argument: Argument) -> None:
        super().__init__(argument.flags)  # type: ignore[no-untyped-call]
        self.argument = argument

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """See Airflow's."""
        add_argument(parser, self.argument)


def get_cli_commands() -> list[CLICommand]:
    """Describe the commands to Airflow.

    :return: one group.
    """
    return [
        GroupCommand(
            name="trackingmore",
            help="Look at TrackingMore shipments",
            description=DESCRIPTION,
            epilog=EPILOG,
            subcommands=tuple(map(_described, COMMANDS)),
        )
    ]


def _described(command: Command) -> ActionCommand:
    return ActionCommand(
        name=command.name,
        help=command.help,
        description=command.description,
        epilog=EPILOG,
        func=_running(command.name),
        args=tuple(map(_Arg, command.arguments)),
    )


def _running(name: str) -> Callable[[argparse.Namespace], None]:
    def run_command(arguments: argparse.Namespace) -> None:
        from airflow_provider_trackingmore.cli.program import run

        sys.exit(run(name, arguments))

    return run_command
