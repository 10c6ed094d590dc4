"""Which events of a shipment are already written: 8 bytes each, of its key, its substatus and whether it has a text."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from airflow_provider_trackingmore.loading.rows import EventRow
from airflow_provider_trackingmore.loading.target import Counts

_CODE = struct.Struct(">6sH")
_KEY_DIGITS = 12
_HAS_TEXT = 0x8000
_IS_CURRENT = 0x4000
_SUBSTATUS = 0x3FFF


def compare_events(known: bytes, events: Sequence[EventRow]) -> tuple[bytes, list[EventRow], Counts]:
    """Decide which events must be written.

    An event is written again if its substatus or its text arrives later or its substatus changes; never because one of
    them is no longer sent.

    :param known: the codes of the events that have been written; empty for none.
    :param events: all events of the shipment now.
    :return: the codes then, the events to write, and the counts. A superseded event and one that has come back are
        changed, although nothing is written for them: views find out by ``event_keys``.
    """
    before = dict(_CODE.iter_unpack(known))
    after = {key: code & ~_IS_CURRENT for key, code in before.items()}
    to_write = []
    counts = Counts()
    for event in events:
        key = bytes.fromhex(event.event_key[:_KEY_DIGITS])
        old = before.get(key)
        code = _IS_CURRENT | _substatus_code(event.substatus) | (_HAS_TEXT if event.description else 0)
        if old is None:
            to_write.append(event)
            counts.new += 1
        else:
            code |= old & _HAS_TEXT
            if not code & _SUBSTATUS:
                code |= old & _SUBSTATUS
            if (code ^ old) & (_HAS_TEXT | _SUBSTATUS):
                to_write.append(event)
            if code == old:
                counts.unchanged += 1
            else:
                counts.changed += 1
        after[key] = code
    counts.changed += sum(1 for key, code in before.items() if code & _IS_CURRENT and not after[key] & _IS_CURRENT)
    return b"".join(_CODE.pack(key, code) for key, code in sorted(after.items())), to_write, counts


@lru_cache(maxsize=1024)
def _substatus_code(substatus: str | None) -> int:
    if not substatus:
        return 0
    return 1 + int.from_bytes(blake2b(substatus.encode("utf-8", "surrogatepass"), digest_size=4).digest()) % _SUBSTATUS
