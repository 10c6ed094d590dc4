"""Messages and progress bars on standard error."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator

from airflow_provider_trackingmore.cli.messages import printable

Progress = Callable[[int, int | None], None]
"""Called with the amount of work done, and the total; None if that is unknown."""


def echo(message: str) -> None:
    """Write a message to standard error.

    :param message: one line.
    """
    sys.stderr.write(printable(message) + "\n")


def output_is_file() -> bool:
    """Tell whether standard output is a file. The reader of a pipe may write to the terminal of the progress bar."""
    return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)


@contextlib.contextmanager
def progress_bar(title: str, *, threshold: int) -> Iterator[Progress]:
    """Show a progress bar while the block runs, if standard error is a terminal.

    :param title: what is being done.
    :param threshold: the largest amount of work that needs no bar.
    :return: a function to report progress with.
    """
    with contextlib.ExitStack() as stack:
        draw: Progress | None = None

        def update(done: int, total: int | None) -> None:
            nonlocal draw
            if draw is None and total is not None and total > threshold:
                draw = stack.enter_context(_rich_bar(title))
            if draw is not None:
                draw(done, total)

        yield update


@contextlib.contextmanager
def _rich_bar(title: str) -> Iterator[Progress]:
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
