"""Where a watcher's state lives: the asset's state store from Airflow 3.3 on, Variables before."""

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
from airflow_provider_trackingmore.waiting.cooperative import run_off_loop

if TYPE_CHECKING:
    from pydantic import JsonValue

log = logging.getLogger(__name__)


class StateMovedError(Exception):
    """Another trigger with the same name has stored a state, or someone has cleared it."""


class AsyncStore(Protocol):
    """The part of Airflow's asset state store that is needed."""

    async def aget(self, key: str, default: JsonValue = None) -> JsonValue:
        """Return the value of a key."""

    async def aset(self, key: str, value: JsonValue) -> None:
        """Set the value of a key."""


class TextStorage(Protocol):
    """Keeps texts by key."""

    prefix: str
    """Begins each key."""
    is_cheap: bool
    """Whether a key can be read at any time, without asking secrets backends."""

    async def get(self, key: str) -> str | None:
        """Return a text; None if there is none."""

    async def set(self, key: str, text: str) -> None:
        """Store a text."""


class AssetStorage:
    """The state store of the watched asset (Airflow 3.3 and later).

    :param store: ``asset_state_store`` of the trigger.
    """

    prefix = "trackingmore_changes"
    is_cheap = True

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        """Return a text; None if there is none."""
        value = await self._store.aget(key)
        return value if isinstance(value, str) else None

    async def set(self, key: str, text: str) -> None:
        """Store a text."""
        await self._store.aset(key, text)


class VariableStorage:
    """Airflow's Variables (Airflow 3.0 to 3.2).

    Their API blocks, so it runs in a thread: one of asgiref, in which Airflow finds its way back to the event loop.
    """

    prefix = "trackingmore_changes"
    is_cheap = False

    async def get(self, key: str) -> str | None:
        """Return a text; None if there is none."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        value = await sync_to_async(Variable.get, thread_sensitive=False)(key, None)
        return value if isinstance(value, str) else None

    async def set(self, key: str, text: str) -> None:
        """Store a text."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        await sync_to_async(Variable.set, thread_sensitive=False)(key, text)


class ChangeStore:
    """The stored state of one watcher, with the changes of its last round until Airflow has stored their events.

    :param storage: keeps the texts.
    :param name: the name of the watcher.
    """

    def __init__(self, storage: TextStorage, name: str) -> None:
        self._storage = storage
        self._prefix = f"{storage.prefix}.{name}"
        self._head: str | None = None

    async def load(self) -> tuple[WatchState | None, list[ShipmentChange]]:
        """Read the state.

        :return: the state, None if nothing is stored or it is damaged; and the changes to report again.
        :raises WatchStateError: if it was written by a later version.
        """
        self._head = await self._storage.get(f"{self._prefix}.head")
        head = Head.from_text(self._head)
        for slot in (head.slot, head.other_slot) if head.slot else ():
            pieces = await self._read_pieces(slot)
            try:
                state, changes = await run_off_loop(sum(map(len, pieces)) // 50, partial(unpack, pieces))
            except WatchStateError:
                log.warning("The stored state %s.%s cannot be read", self._prefix, slot)
                continue
            return state, changes if slot == head.slot and not head.is_committed else []
        if head.slot:
            log.error("The state %s is lost: the watcher begins as at its first start", self._prefix)
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
        """Tell whether something was stored elsewhere since the state was loaded or saved, or since this was called."""
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
