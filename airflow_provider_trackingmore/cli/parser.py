"""Parse the command line of ``trackingmore-airflow`` with argparse."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NoReturn

from airflow_provider_trackingmore import __version__
from airflow_provider_trackingmore.cli.definition import COMMANDS, DESCRIPTION, EPILOG
from airflow_provider_trackingmore.cli.suggestions import did_you_mean


class CommandLineParser(argparse.ArgumentParser):
    """A parser that reports a mistake in two lines: what is wrong, and the usage."""

    def error(self, message: str) -> NoReturn:
        """Report a mistake and exit.

        :param message: what is wrong.
        """
        self.exit(2, f"trackingmore: {message}\nUsage: {self.usage_line} (see --help)\n")

    @property
    def usage_line(self) -> str:
        """The usage in one line."""
        return self.format_usage().removeprefix("usage: ").strip()

    def report_unknown(self, words: Sequence[str]) -> NoReturn:
        """Report words that are not arguments of the command, and exit.

        :param words: the words.
        """
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not options:
            self.error(f"too many arguments: {' '.join(words)}")
        known = [option for action in self._actions for option in action.option_strings]
        self.error(f"there is no option {options[0]}{did_you_mean(options[0], known)}")


class _Version(argparse.Action):
    """Print the versions that a bug report needs."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        try:
            airflow = metadata.version("apache-airflow")
        except metadata.PackageNotFoundError:
            airflow = "not installed"
        python = ".".join(map(str, sys.version_info[:3]))
        sys.stdout.write(f"airflow-provider-trackingmore {__version__} (Apache Airflow {airflow}, Python {python})\n")
        parser.exit(0)


def build_parser(prog: str) -> tuple[CommandLineParser, dict[str, CommandLineParser]]:
    """Build the parser.

    :param prog: the program's name.
    :return: the parser, and the parser of each command.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = CommandLineParser(
        prog=prog,
        usage=f"{prog} COMMAND ...",
        description=DESCRIPTION,
        epilog=f"{prog} COMMAND --help explains a command.\n\n{EPILOG}",
        formatter_class=formatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    by_name: dict[str, CommandLineParser] = {}
    for command in COMMANDS:
        by_name[command.name] = subparsers.add_parser(
            command.name,
            usage=f"{prog} {command.usage}",
            help=command.help,
            description=command.description,
            epilog=EPILOG,
            formatter_class=formatter,
        )
        for argument in command.arguments:
            argument.add_to(by_name[command.name])
    return parser, by_name


def parse_arguments(prog: str, argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line, or complete it if a shell requests that.

    :param prog: the program's name.
    :param argv: the arguments.
    :return: the arguments; ``command`` is the name of the command.
    """
    parser, by_name = build_parser(prog)
    _complete(parser)
    if argv and not argv[0].startswith("-") and argv[0] not in by_name:
        parser.error(
            f"there is no command {argv[0]!r}{did_you_mean(argv[0], by_name) or '.'} "
            f"The commands are {', '.join(by_name)}"
        )
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        by_name[arguments.command].report_unknown(unknown)
    return arguments


def _complete(parser: argparse.ArgumentParser) -> None:
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser, always_complete_options="long")
