"""The state of a watcher between two rounds, and its stored form: pieces of text that fit into any database."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.changes import ShipmentChange
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.waiting.observation import Observation

STATE_VERSION = 1
PIECE_LENGTH = 45_000
"""Characters per piece. Encrypted, as Airflow stores Variables, that is less than 65,535 bytes, the limit of MySQL's
TEXT."""
SLOTS = ("a", "b")


class WatchStateError(TrackingMoreError):
    """The stored state of a watcher cannot be used."""


@dataclass(frozen=True, slots=True)
class LastSeen:
    """What a watcher knows about a shipment.

    :param key: carrier and number, as the vendor spells them.
    :param status: its status.
    :param last_update: local time of its newest event, for delivered shipments only: later events may reopen them.
    :param created: Unix seconds of its registration; None if unknown.
    :param changed: Unix seconds at which the watcher saw its status change; None if it never did.
    :param round: the number of the round in which it got this status.
    """

    key: ShipmentKey
    status: str
    last_update: str | None = None
    created: int | None = None
    changed: int | None = None
    round: int = 0

    @property
    def observed(self) -> Observation:
        """The part that decides whether another state supersedes this one."""
        return Observation(status=self.status, last_update=self.last_update)


@dataclass(frozen=True, slots=True)
class WatchState:
    """What a watcher knows after a round.

    :param round: the number of the round.
    :param mark: Unix seconds: every shipment that was registered earlier is settled, or is in ``shipments``.
    :param cursor: Unix seconds of the vendor's clock: changes of settled shipments have been read up to this time.
    :param forgotten_until: Unix seconds of the vendor's clock: no shipment that was dropped was registered or changed
        later than this.
    :param sequence: the ``sequence`` of the last change.
    :param scope: identifies the filters.
    :param shipments: the shipments that are not settled, by normalized key.
    """

    round: int = 0
    mark: int | None = None
    cursor: int | None = None
    forgotten_until: int = -1
    sequence: int = 0
    scope: str = ""
    shipments: Mapping[ShipmentKey, LastSeen] = field(default_factory=dict)

    @property
    def load_state(self) -> LoadState:
        """The part that decides what the next round requests."""
        return LoadState(self.round, self.mark, self.cursor)


def pack(state: WatchState, changes: Sequence[ShipmentChange] = ()) -> list[str]:
    """Convert a state to text.

    :param state: the state.
    :param changes: the changes that its round reports.
    :return: the pieces.
    """
    carriers: dict[str, list[list[Any]]] = {}
    for seen in state.shipments.values():
        row = [seen.key.tracking_number, seen.status, seen.created, seen.round, seen.changed, seen.last_update]
        while row[-1] is None:
            row.pop()
        carriers.setdefault(seen.key.carrier_code, []).append(row)
    values = {
        "round": state.round,
        "mark": state.mark,
        "cursor": state.cursor,
        "forgotten_until": state.forgotten_until,
        "sequence": state.sequence,
        "scope": state.scope,
        "carriers": carriers,
        "changes": changes,
    }
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    data = base64.b64encode(zlib.compress(text.encode(), 6)).decode("ascii")
    token = _digest(data)
    parts = [data[begin : begin + PIECE_LENGTH] for begin in range(0, len(data), PIECE_LENGTH)]
    return [f"{token}.{len(parts)}.{part}" for part in parts]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the newest state is stored. There are two slots, so that one stays intact while the other is written.

    :param slot: its slot; empty if nothing is stored.
    :param round: the number of its round.
    :param is_committed: whether Airflow has stored the events of that round.
    """

    slot: str = ""
    round: int = 0
    is_committed: bool = True

    def to_text(self) -> str:
        """Return the stored form."""
        values = {"version": STATE_VERSION, "slot": self.slot, "round": self.round, "is_committed": self.is_committed}
        return json.dumps(values)

    @classmethod
    def from_text(cls, text: str | None) -> Head:
        """Parse a head.

        :param text: from :meth:`to_text`; None if nothing is stored.
        :raises WatchStateError: if it is damaged, or was written by a later version.
        """
        if text is None:
            return cls()
        try:
            values = json.loads(text)
            version, slot = values["version"], values["slot"]
            head = cls(slot, int(values["round"]), bool(values["is_committed"]))
        except (ValueError, TypeError, KeyError):
            raise WatchStateError(
                "the stored state of the watcher is damaged: clear it, and the watcher starts over"
            ) from None
        if type(version) is not int or version > STATE_VERSION or slot not in SLOTS:
            raise WatchStateError(
                "the stored state of the watcher was written by a later version of airflow-provider-trackingmore: "
                "install the same version everywhere"
            )
        return head

    @property
    def other_slot(self) -> str:
        """The slot for the next state."""
        return SLOTS[1] if self.slot == SLOTS[0] else SLOTS[0]


def count_pieces(piece: str | None) -> int:
    """Return how many pieces a slot has.

    :param piece: any of its pieces; None if there is none.
    :return: the number; 0 if it is damaged.
    """
    _, _, rest = (piece or "").partition(".")
    count, _, _ = rest.partition(".")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 0


def unpack(pieces: Sequence[str | None]) -> tuple[WatchState, list[ShipmentChange]]:
    """Parse a state.

    :param pieces: the pieces of one slot, in order.
    :return: the state, and the changes that its round reports.
    :raises WatchStateError: if the pieces are damaged, or do not belong together.
    """
    try:
        parts = [(piece or "").split(".", 2) for piece in pieces]
        data = "".join(part for _, _, part in parts)
        token = _digest(data)
        if not parts or any(part[0] != token for part in parts):
            raise ValueError("the pieces belong to different states")
        values: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(data)))
        seen = [_seen(carrier, row) for carrier, rows in values["carriers"].items() for row in rows]
        state = WatchState(
            round=int(values["round"]),
            mark=values["mark"],
            cursor=values["cursor"],
            forgotten_until=int(values["forgotten_until"]),
            sequence=int(values["sequence"]),
            scope=str(values["scope"]),
            shipments={shipment.key.normalized: shipment for shipment in seen},
        )
        changes: list[ShipmentChange] = list(values["changes"])
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, binascii.Error):
        raise WatchStateError("the stored state of the watcher is damaged") from None
    return state, changes


def _seen(carrier: str, row: Sequence[Any]) -> LastSeen:
    number, status, created, round_number, changed, last_update = [*row, None, None][:6]
    return LastSeen(ShipmentKey(carrier, number), status, last_update, created, changed, round_number)


def _digest(data: str) -> str:
    return blake2b(data.encode("ascii"), digest_size=8).hexdigest()
