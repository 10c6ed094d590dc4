"""Mistakes that the waiting once had, put back one at a time: the oracle must notice each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

Patch = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Mutation:
    """One mistake.

    :param text: what it is.
    :param seed: of a run that shows it.
    :param rule: the oracle's rule that it breaks.
    :param patch: puts it in.
    """

    text: str
    seed: int
    rule: str
    patch: Patch

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the mistake in for a while."""
        with self.patch():
            yield


MUTATIONS: dict[str, Mutation] = {}
