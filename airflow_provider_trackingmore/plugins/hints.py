"""Hints: shipments that a webhook has named. The waits for them are woken, and nothing else is believed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.hint_stream import ShipmentHint
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.hint_channels import HintChannels
from airflow_provider_trackingmore.plugins.task_waits import ShipmentOfConnection

log = logging.getLogger(__name__)

INDEX_SECONDS = 5.0
"""How old the index of the deferred waits may be."""
WAKE_SECONDS = 30.0
"""How long a wait is left alone after it was deferred: it has just been checked."""
GATHER_SECONDS = 0.2
RETRY_SECONDS = 1.0
MAX_PENDING = 10_000
_MINUTE = 60.0


@dataclass(slots=True)
class _Hint:
    """A shipment that a webhook has named.

    :param added_at: Unix seconds.
    :param stale: it comes after those that are not.
    :param hints_per_minute: of its connection.
    :param client_settings: how to reach the account of its connection; None if that is unknown.
    :param is_sent: whether it was passed on to the pollers.
    """

    added_at: float
    stale: bool
    hints_per_minute: int
    client_settings: ClientSettings | None
    is_sent: bool = False


class Hints:
    """The hints of one process of the API server. Those for the same shipment are one.

    :param waits: the index of the deferred waits.
    """

    def __init__(self, waits: DeferredWaits) -> None:
        self._pending: dict[ShipmentOfConnection, _Hint] = {}
        self._spent: dict[str, deque[float]] = {}
        self._waits = waits
        self._channels = HintChannels()
        self._task: asyncio.Task[None] | None = None
        self._added = asyncio.Event()

    def add(
        self,
        conn_id: str,
        key: ShipmentKey,
        *,
        stale: bool,
        hints_per_minute: int,
        client_settings: ClientSettings | None = None,
    ) -> None:
        """Add a hint. It is processed later.

        :param conn_id: the connection whose webhook it was.
        :param key: the shipment.
        :param stale: whether the webhook is old.
        :param hints_per_minute: how many hints of the connection may cause checks in a minute.
        :param client_settings: how to reach the account of the connection; None if that is unknown.
        """
        shipment = conn_id, key.normalized
        known = self._pending.get(shipment)
        if known is None and len(self._pending) >= MAX_PENDING:
            log.warning("Too many webhooks: the one about %s is ignored", key)
            return
        is_stale = stale and (known is None or known.stale)
        self._pending[shipment] = _Hint(time.time(), is_stale, hints_per_minute, client_settings)
        self._added.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="trackingmore-hints")

    async def _run(self) -> None:
        try:
            while self._pending:
                self._added.clear()
                await asyncio.sleep(GATHER_SECONDS)
                await asyncio.to_thread(self._process, dict(self._pending))
                if self._pending:
                    try:
                        async with asyncio.timeout(RETRY_SECONDS):
                            await self._added.wait()
                    except TimeoutError:
                        continue
        except Exception as error:  # the database, for instance: the waits are checked at their intervals nevertheless
            log.exception("%d hints are lost (%s)", len(self._pending), type(error).__name__)
            self._pending.clear()
        finally:
            self._task = None

    def _process(self, pending: dict[ShipmentOfConnection, _Hint]) -> None:
        """Pass the pending hints on to the pollers; or else wake the waits, as far as they may be woken now."""
        pending = self._send_to_pollers(pending)
        if not pending:
            return
        waits = self._waits
        if not 0 <= time.time() - waits.read_at < INDEX_SECONDS:
            waits.refresh()
        for shipment, hint in _in_order(pending):
            found = [wait for wait in waits.find(shipment) if wait.deferred_at < hint.added_at]
            ripe = [wait for wait in found if time.time() - wait.deferred_at >= WAKE_SECONDS]
            if ripe and not self._spend(shipment[0], hint.hints_per_minute):
                continue
            woken = waits.wake(ripe)
            if woken:
                log.info("Webhook about %s of connection %s: %d tasks check again", shipment[1], shipment[0], woken)
            # A task may have been deferred since the index was read.
            is_complete = woken == len(found) and waits.read_at >= hint.added_at
            if is_complete:
                self._remove(shipment, hint)

    def _send_to_pollers(self, pending: dict[ShipmentOfConnection, _Hint]) -> dict[ShipmentOfConnection, _Hint]:
        """Pass hints on to the pollers, and return those for which that is not enough."""
        accounts: dict[tuple[str, str], list[tuple[ShipmentOfConnection, _Hint]]] = {}
        for shipment, hint in _in_order(pending):
            if hint.client_settings is not None and not hint.is_sent:
                place = hint.client_settings.pacing, hint.client_settings.fingerprint
                accounts.setdefault(place, []).append((shipment, hint))
        remaining = dict(pending)
        for (pacing, account), hints in accounts.items():
            is_enough = self._channels.send(
                pacing, account, [ShipmentHint(shipment[1], hint.hints_per_minute) for shipment, hint in hints]
            )
            for shipment, hint in hints:
                hint.is_sent = True
                if is_enough:
                    del remaining[shipment]
                    self._remove(shipment, hint)
        return remaining

    def _remove(self, shipment: ShipmentOfConnection, hint: _Hint) -> None:
        """Remove a hint that is done, but not one that has come in the meantime."""
        if self._pending.get(shipment) is hint:
            del self._pending[shipment]

    def _spend(self, conn_id: str, hints_per_minute: int) -> bool:
        """Count a hint that wakes waits, if the connection may have one more in this minute."""
        now = time.monotonic()
        spent = self._spent.setdefault(conn_id, deque())
        while spent and now - spent[0] >= _MINUTE:
            spent.popleft()
        if len(spent) >= hints_per_minute:
            return False
        spent.append(now)
        return True


def _in_order(hints: dict[ShipmentOfConnection, _Hint]) -> list[tuple[ShipmentOfConnection, _Hint]]:
    """The stale ones come last."""
    return sorted(hints.items(), key=lambda item: (item[1].stale, item[1].added_at))
