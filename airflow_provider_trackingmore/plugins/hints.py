"""Hints: shipments that webhooks have named. Waits for them check early; nothing else in a webhook is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.client.hint_stream import ShipmentHint
from airflow_provider_trackingmore.client.settings import ClientSettings
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.hint_channels import HintChannels
from airflow_provider_trackingmore.plugins.task_waits import ShipmentOfConnection

log = logging.getLogger(__name__)

INDEX_SECONDS = 5.0
"""The maximum age of the index of deferred waits."""
WAKE_SECONDS = 30.0
"""A wait that was deferred less than this long ago is not woken, because it has just been checked."""
GATHER_SECONDS = 0.2
RETRY_SECONDS = 1.0
MAX_PENDING = 10_000
_MINUTE = 60.0


@dataclass(slots=True)
class _Hint:
    """A shipment that a webhook has named.

    :param added_at: Unix seconds.
    :param stale: whether the webhook is old; stale hints are processed last.
    :param hints_per_minute: the limit of its connection.
    :param client_settings: how to reach the account of its connection; None if that is unknown.
    :param is_sent: whether it was passed on to the pollers.
    """

    added_at: float
    stale: bool
    hints_per_minute: int
    client_settings: ClientSettings | None
    is_sent: bool = False


_Hints: TypeAlias = "dict[ShipmentOfConnection, _Hint]"


class Hints:
    """The hints of one process of the API server. Repeated hints for a shipment count as one.

    :param waits: the index of the deferred waits.
    """

    def __init__(self, waits: DeferredWaits) -> None:
        self._pending: _Hints = {}
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
                self._remove(await asyncio.to_thread(self._process, dict(self._pending)))
                if self._pending:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_SECONDS):
                            await self._added.wait()
        except Exception as error:  # such as of the database: the waits are still checked at their intervals
            log.exception("%d hints are lost (%s)", len(self._pending), type(error).__name__)
            self._pending.clear()
        finally:
            self._task = None

    def _process(self, pending: _Hints) -> _Hints:
        """Pass pending hints on to the pollers, or else wake the waits that may be woken now. Runs in a thread.

        :param pending: the hints.
        :return: those that are done.
        """
        done = self._send_to_pollers(pending)
        pending = {shipment: hint for shipment, hint in pending.items() if shipment not in done}
        if not pending:
            return done
        waits = self._waits
        if not 0 <= time.time() - waits.read_at < INDEX_SECONDS:
            waits.refresh()
        for shipment, hint in _fresh_first(pending):
            found = [wait for wait in waits.find(shipment) if wait.deferred_at < hint.added_at]
            ready = [wait for wait in found if time.time() - wait.deferred_at >= WAKE_SECONDS]
            if ready and not self._spend(shipment[0], hint.hints_per_minute):
                continue
            woken = waits.wake(ready)
            if woken:
                log.info("Webhook about %s of connection %s: %d tasks check again", shipment[1], shipment[0], woken)
            # A task may have been deferred since the index was read.
            if woken == len(found) and waits.read_at >= hint.added_at:
                done[shipment] = hint
        return done

    def _send_to_pollers(self, pending: _Hints) -> _Hints:
        """Pass hints on to the pollers, and return those that need nothing else."""
        accounts: dict[tuple[str, str], list[tuple[ShipmentOfConnection, _Hint]]] = {}
        for shipment, hint in _fresh_first(pending):
            if hint.client_settings is not None and not hint.is_sent:
                account = hint.client_settings.pacing, hint.client_settings.fingerprint
                accounts.setdefault(account, []).append((shipment, hint))
        done: _Hints = {}
        for (pacing, fingerprint), hints in accounts.items():
            is_enough = self._channels.send(
                pacing, fingerprint, [ShipmentHint(shipment[1], hint.hints_per_minute) for shipment, hint in hints]
            )
            for _, hint in hints:
                hint.is_sent = True
            if is_enough:
                done |= hints
        return done

    def _remove(self, done: _Hints) -> None:
        """Remove hints that are done, but not those that have been repeated in the meantime."""
        for shipment, hint in done.items():
            if self._pending.get(shipment) is hint:
                del self._pending[shipment]

    def _spend(self, conn_id: str, hints_per_minute: int) -> bool:
        """Count a hint that wakes waits, unless the connection has reached its limit for this minute."""
        now = time.monotonic()
        spent = self._spent.setdefault(conn_id, deque())
        while spent and now - spent[0] >= _MINUTE:
            spent.popleft()
        if len(spent) >= hints_per_minute:
            return False
        spent.append(now)
        return True


def _fresh_first(hints: _Hints) -> list[tuple[ShipmentOfConnection, _Hint]]:
    """Sort hints by age, the stale ones last."""
    return sorted(hints.items(), key=lambda item: (item[1].stale, item[1].added_at))
