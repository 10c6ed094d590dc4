"""Pseudo-random numbers that depend on nothing but their seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


class SeededRandom:
    """Pseudo-random numbers that depend on nothing but the seed; they repeat after 32.

    :param seed: any objects; their texts are the seed.
    """

    __slots__ = ("_digest", "_next")

    def __init__(self, *seed: object) -> None:
        text = "\x1f".join(map(str, seed)).encode("utf-8", "surrogatepass")
        self._digest = hashlib.blake2b(text, digest_size=64).digest()
        self._next = 0

    def random(self) -> float:
        """Return the next number.

        :return: at least 0, less than 1.
        """
        position = self._next % 32 * 2
        self._next += 1
        return int.from_bytes(self._digest[position : position + 2], "big") / 65_536

    def choice(self, options: Sequence[str]) -> str:
        """Choose one of the options.

        :param options: what to choose from, not empty.
        :return: one of them.
        """
        return options[int(self.random() * len(options))]
