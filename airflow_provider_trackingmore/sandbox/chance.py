"""Numbers that look random and follow from names. Knows nothing of parcels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


class Chance:
    """Numbers between 0 and 1 that depend on nothing but their names.

    :param names: what they depend on.
    """

    __slots__ = ("_digest", "_next")

    def __init__(self, *names: object) -> None:
        text = "\x1f".join(map(str, names)).encode("utf-8", "surrogatepass")
        self._digest = hashlib.blake2b(text, digest_size=64).digest()
        self._next = 0

    def draw(self) -> float:
        """Draw the next number; there are 32, then they repeat.

        :return: from 0 up to but not 1.
        """
        at = self._next % 32 * 2
        self._next += 1
        return int.from_bytes(self._digest[at : at + 2], "big") / 65_536

    def pick(self, among: Sequence[str]) -> str:
        """Draw one of several.

        :param among: the several.
        :return: one of them.
        """
        return among[int(self.draw() * len(among))]
