"""Remember the responses about each shipment, so that a test can tell what a client must know."""

from __future__ import annotations

import hashlib
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .json_texts import encode_value, quote
from .rendering import ItemText
from .shipments import Key

_ABSENT = b""
"""Stands for the content of an answer that the shipment does not exist."""


@dataclass(slots=True)
class _Answer:
    """One content, and the requests that were answered with it."""

    packed: bytes
    serials: array[int] = field(default_factory=lambda: array("I"))

    def between(self, since: int, until: int | None) -> Sequence[int]:
        stop = len(self.serials) if until is None else bisect_right(self.serials, until)
        return self.serials[bisect_right(self.serials, since) : stop]


class Answers:
    """The distinct contents that were answered about each shipment, in compressed form.

    Contents that differ only in the counts of days are the same: those change without an event.

    :param keep: whether answers are remembered.
    """

    def __init__(self, keep: bool = False) -> None:
        self.reset(keep)

    def reset(self, keep: bool) -> None:
        """Forget all answers.

        :param keep: whether answers are remembered from now on.
        """
        self.keep = keep
        self._by_shipment: dict[tuple[int, Key], dict[bytes, _Answer]] = {}
        self._in_order: list[tuple[int, Key]] = []
        self._by_number: dict[tuple[int, str], list[Key]] = {}
        self._clock: dict[int, float] = {}
        self._pattern = b""

    def __len__(self) -> int:
        """Number of shipments that were answered about."""
        return len(self._in_order)

    def keys_of_number(self, account: int, number: str) -> Sequence[Key]:
        """Find the shipments with a number that were answered about.

        :param account: index of the account.
        :param number: the tracking number.
        :return: their carrier codes and numbers.
        """
        return self._by_number.get((account, number), ())

    def record(self, serial: int, clock: float, account: int, rows: Iterable[tuple[Key, ItemText | None]]) -> None:
        """Record an answer that was sent whole.

        :param serial: number of the request, which is higher than that of any recorded before.
        :param clock: its clock time in Unix seconds.
        :param account: index of the account.
        :param rows: carrier code and number, and the item; None if the answer was that there is no such shipment.
        """
        self._clock[serial] = clock
        for key, item in rows:
            contents = self._by_shipment.get((account, key))
            if contents is None:
                contents = self._by_shipment[account, key] = {}
                self._in_order.append((account, key))
                self._by_number.setdefault((account, key[1]), []).append(key)
            digest = _ABSENT if item is None else _digest(item)
            answer = contents.get(digest)
            if answer is None:
                answer = contents[digest] = _Answer(_ABSENT if item is None else self._pack(item))
            if not answer.serials or answer.serials[-1] != serial:
                answer.serials.append(serial)

    def page(
        self, account: int, since: int, until: int | None, number: str | None, offset: int, limit: int
    ) -> tuple[str, int | None]:
        """Serialize what was answered about some shipments.

        :param account: index of the account.
        :param since: only answers to requests with a higher serial.
        :param until: only answers to requests up to this serial; None for no limit.
        :param number: only shipments with this number; None for all.
        :param offset: from which shipment on, in the order in which they were first answered about.
        :param limit: maximum number of shipments.
        :return: a JSON list, and the offset of the next page or None.
        """
        found: list[str] = []
        for at in range(offset, len(self._in_order)):
            owner, key = self._in_order[at]
            if owner != account or (number is not None and key[1] != number):
                continue
            answers = sorted(self._answers(owner, key, since, until))
            if not answers:
                continue
            if len(found) == limit:
                return f"[{','.join(found)}]", at
            found.append(
                f'{{"carrier_code":{quote(key[0])},"tracking_number":{quote(key[1])}'
                f',"answers":[{",".join(text for _, text in answers)}]}}'
            )
        return f"[{','.join(found)}]", None

    def _answers(self, account: int, key: Key, since: int, until: int | None) -> Iterator[tuple[int, str]]:
        """Serialize the answers about a shipment, each with its first serial."""
        for answer in self._by_shipment[account, key].values():
            serials = answer.between(since, until)
            if serials:
                times = encode_value([self._clock[serial] for serial in serials])
                item = self._unpack(answer.packed)
                yield serials[0], f'{{"serials":{encode_value(list(serials))},"clock_unix":{times},"item":{item}}}'

    def _pack(self, item: ItemText) -> bytes:
        """Compress an item. Items resemble each other, so the first one serves as dictionary for the others."""
        content = item.text.encode("ascii")
        self._pattern = self._pattern or content
        compress = zlib.compressobj(1, zdict=self._pattern)
        return compress.compress(content) + compress.flush()

    def _unpack(self, packed: bytes) -> str:
        if packed == _ABSENT:
            return "null"
        return zlib.decompressobj(zdict=self._pattern).decompress(packed).decode("ascii")


def _digest(item: ItemText) -> bytes:
    content = hashlib.blake2b(item.before.encode("ascii"), digest_size=16)
    content.update(item.after.encode("ascii"))
    return content.digest()
