"""Store the state of watchers: in the asset's state store from Airflow 3.3 on, in Variables before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from airflow_provider_trackingmore.events.changes import ShipmentChange
from airflow_provider_trackingmore.events.watch_state import (
    Head,
    WatchState,
    WatchStateError,
    count_pieces,
    pack,
    unpack,
)
from airflow_provider_trackingmore.variables import read_variable, write_variable
from airflow_provider_trackingmore.waiting.cooperative import run_off_loop

if TYPE_CHECKING:
    from pydantic import JsonValue

log = logging.getLogger(__name__)


class StateMovedError(Exception):
    """Another watcher with the same name has stored a state, or somebody has cleared it."""


class AsyncStore(Protocol):
    """The part of Airflow's asset state store that watchers need."""

    async def aget(self, key: str, default: JsonValue = None) -> JsonValue:
        """Return the value of a key."""

    async def aset(self, key: str, value: JsonValue) -> None:
        """Set the value of a key."""


class TextStorage(Protocol):
    """Stores text by key."""

    prefix: str
    """The prefix of each key."""
    is_cheap: bool
    """Whether reading a key queries no secrets backend, so that it can be done before each write."""

    async def get(self, key: str) -> str | None:
        """Return the text of a key; None if there is none."""

    async def set(self, key: str, text: str) -> None:
        """Store a text under a key."""


class AssetStorage:
    """The state store of the watched asset (Airflow 3.3 and later).

    :param store: ``asset_state_store`` of the trigger.
    """

    prefix = "trackingmore_changes"
    is_cheap = True

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        """Return the text of a key; None if there is none."""
        value = await self._store.aget(key)
        return value if isinstance(value, str) else None

    async def set(self, key: str, text: str) -> None:
        """Store a text under a key."""
        await self._store.aset(key, text)


class VariableStorage:
    """Airflow's Variables (Airflow 3.0 to 3.2)."""

    prefix = "trackingmore_changes"
    is_cheap = False

    async def get(self, key: str) -> str | None:
        """Return the text of a key; None if there is none."""
        return await read_variable(key)

    async def set(self, key: str, text: str) -> None:
        """Store a text under a key."""
        await write_variable(key, text)


class ChangeStore:
    """The stored state of one watcher, and the changes of its last round until Airflow has stored their events.

    :param storage: stores the state as text.
    :param name: the name of the watcher.
    """

    def __init__(self, storage: TextStorage, name: str) -> None:
        self._storage = storage
        self._prefix = f"{storage.prefix}.{name}"
        self._head: str | None = None

    async def load(self) -> tuple[WatchState | None, list[ShipmentChange]]:
        """Read the state.

        :return: the state, None if there is none or both slots are damaged; and the changes to report again.
        :raises WatchStateError: if the head is damaged, or was written by a later version.
        """
        self._head = await self._storage.get(f"{self._prefix}.head")
        head = Head.from_text(self._head)
        for slot in (head.slot, head.other_slot) if head.slot else ():
            pieces = await self._read_pieces(slot)
            try:
                state, changes = await run_off_loop(sum(map(len, pieces)) // 50, partial(unpack, pieces))
            except WatchStateError:
                log.warning("Cannot read the stored state %s.%s", self._prefix, slot)
                continue
            return state, changes if slot == head.slot and not head.is_committed else []
        if head.slot:
            log.error("The stored state %s is lost, so the watcher starts over", self._prefix)
        return None, []

    async def save(self, state: WatchState, changes: Sequence[ShipmentChange]) -> None:
        """Store the state after a round. If there are changes, it must be committed later.

        :param state: the state.
        :param changes: the changes to report.
        :raises StateMovedError: if the stored state is not the one that was loaded or saved last.
        """
        await self._check()
        slot = Head.from_text(self._head).other_slot
        pieces = await run_off_loop(len(state.shipments) + len(changes), lambda: pack(state, changes))
        for number, piece in enumerate(pieces):
            await self._storage.set(f"{self._prefix}.{slot}.{number}", piece)
        await self._set_head(Head(slot, state.round, not changes))

    async def commit(self) -> None:
        """Record that Airflow has stored the events of the last round.

        :raises StateMovedError: if the stored state is not the one that was loaded or saved last.
        """
        await self._check()
        await self._set_head(replace(Head.from_text(self._head), is_committed=True))

    async def has_moved(self) -> bool:
        """Tell whether another watcher has stored something since the last call of any of these methods."""
        if not self._storage.is_cheap:
            return False
        before, self._head = self._head, await self._storage.get(f"{self._prefix}.head")
        return self._head != before

    async def _check(self) -> None:
        if await self.has_moved():
            raise StateMovedError

    async def _set_head(self, head: Head) -> None:
        text = head.to_text()
        await self._storage.set(f"{self._prefix}.head", text)
        self._head = text

    async def _read_pieces(self, slot: str) -> list[str]:
        first = await self._storage.get(f"{self._prefix}.{slot}.0")
        pieces = [first] + [
            await self._storage.get(f"{self._prefix}.{slot}.{number}") for number in range(1, count_pieces(first))
        ]
        return [piece or "" for piece in pieces]
