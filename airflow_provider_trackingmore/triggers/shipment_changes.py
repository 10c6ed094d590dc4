"""``ShipmentChangesTrigger``: reports changes of status as asset events. It shares its account's poller with waits."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers import base
from airflow.triggers.base import TriggerEvent

from airflow_provider_trackingmore.api.dates import to_unix_seconds
from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.filters import filter_query
from airflow_provider_trackingmore.api.formatting import format_value
from airflow_provider_trackingmore.loading.load import REFUSED_FILTERS
from airflow_provider_trackingmore.loading.state import check_name, default_stream
from airflow_provider_trackingmore.triggers.connections import connect
from airflow_provider_trackingmore.waiting.spec import (
    SHORTEST_INTERVAL,
    STATUSES,
    check_seconds,
    check_statuses,
)

if TYPE_CHECKING:
    from airflow_provider_trackingmore.client.client import TrackingMoreClient
    from airflow_provider_trackingmore.triggers.change_feed import ChangeFeed
    from airflow_provider_trackingmore.waiting.pollers import Pollers

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
MAX_CHANGES_PER_EVENT = 1000


class ShipmentChangesTrigger(BaseEventTrigger):
    """Report each change of a shipment's status as an event of an asset. The changes are read with
    ``GET /trackings/get``.

    Use it in an ``AssetWatcher``, on Airflow 3.0 or later. It never ends. Each event has up to
    ``max_changes_per_event`` changes, which
    :func:`~airflow_provider_trackingmore.events.changes.shipment_changes` reads. Each change is reported at least once.
    If it is reported again, for instance after the triggerer was killed, it has the same ``id``.

    :param name: the name of this watcher: 1 to 100 letters, digits, ``_``, ``.`` and ``-``. Its state is stored under
        this name, so it must be different for each asset.
    :param trackingmore_conn_id: the Airflow connection.
    :param account: the name of the account, as part of each change's ``id``; None for ``trackingmore_conn_id``.
    :param statuses: the statuses to report, such as ``["delivered", "exception"]``; None for all.
    :param filters: the filters of ``list_trackings``, except ``status``, ``update_time_min`` and ``update_time_max``.
    :param poke_interval: maximum seconds between two checks. TrackingMore itself polls carriers every 3 to 6 hours.
    :param reconcile_seconds: maximum seconds between two checks that do not rely on TrackingMore's list of changes.
    :param include_existing: whether the first check reports every registered shipment, with ``previous_status`` None.
        Otherwise it reports none.
    :param max_changes_per_event: the maximum number of changes in an event, from 1 to 1000.
    :param others: arguments of newer versions, which are ignored, so that versions may be mixed during an upgrade.
    :raises InvalidArgumentError: if an argument is invalid, or before Airflow 3.0.
    """

    def __init__(
        self,
        *,
        name: str,
        trackingmore_conn_id: str = "trackingmore_default",
        account: str | None = None,
        statuses: Iterable[str] | None = None,
        filters: Mapping[str, object] | None = None,
        poke_interval: float = 1800.0,
        reconcile_seconds: float = 1800.0,
        include_existing: bool = False,
        max_changes_per_event: int = 100,
        **others: object,
    ) -> None:
        if not hasattr(base, "BaseEventTrigger"):
            raise InvalidArgumentError(
                "ShipmentChangesTrigger needs Airflow 3.0 or later, which has asset watchers. On Airflow 2, schedule a "
                "DAG that lists the shipments"
            )
        super().__init__()  # type: ignore[no-untyped-call]
        if not _NAME.fullmatch(name if type(name) is str else ""):
            raise InvalidArgumentError(
                f"name must be a text of 1 to 100 letters, digits, '_', '.' and '-', not {format_value(name)}"
            )
        if type(max_changes_per_event) is not int or not 1 <= max_changes_per_event <= MAX_CHANGES_PER_EVENT:
            raise InvalidArgumentError(
                f"max_changes_per_event must be a whole number from 1 to {MAX_CHANGES_PER_EVENT}, not "
                f"{format_value(max_changes_per_event)}"
            )
        self.name = name
        self.trackingmore_conn_id = trackingmore_conn_id
        self.account = None if account is None else check_name("account", account)
        self.statuses = None if statuses is None else sorted(check_statuses("statuses", statuses, STATUSES))
        if self.statuses == []:
            raise InvalidArgumentError("statuses is empty: name at least one status to report")
        self.filters = _plain_filters(filters or {})
        self.poke_interval = max(check_seconds("poke_interval", poke_interval), SHORTEST_INTERVAL)
        self.reconcile_seconds = max(check_seconds("reconcile_seconds", reconcile_seconds), SHORTEST_INTERVAL)
        self.include_existing = bool(include_existing)
        self.max_changes_per_event = max_changes_per_event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments as plain JSON, without arguments that have their default.

        :return: (path of the class, arguments).
        """
        given: dict[str, tuple[object, object]] = {
            "trackingmore_conn_id": (self.trackingmore_conn_id, "trackingmore_default"),
            "account": (self.account, None),
            "statuses": (self.statuses, None),
            "filters": (self.filters, {}),
            "poke_interval": (self.poke_interval, 1800.0),
            "reconcile_seconds": (self.reconcile_seconds, 1800.0),
            "include_existing": (self.include_existing, False),
            "max_changes_per_event": (self.max_changes_per_event, 100),
        }
        arguments = {name: value for name, (value, default) in given.items() if value != default}
        return f"{type(self).__module__}.{type(self).__qualname__}", {"name": self.name, **arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each group of changes, forever."""
        feed = self._feed()
        try:
            while True:
                for payload in await feed.next_payloads():
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
        finally:
            feed.close()

    async def _connect(self, pollers: Pollers) -> TrackingMoreClient:
        from airflow_provider_trackingmore.triggers.triggerer_services import connect_in_triggerer

        if self.trigger_id is None:
            return await connect(self.trackingmore_conn_id)
        return await connect_in_triggerer(self.trackingmore_conn_id, pollers)

    def _feed(self) -> ChangeFeed:
        from airflow_provider_trackingmore.events.rounds import Reporting
        from airflow_provider_trackingmore.metrics import METRICS
        from airflow_provider_trackingmore.triggers.change_feed import ChangeFeed, WatchOptions, watcher_lock
        from airflow_provider_trackingmore.triggers.change_store import AssetStorage, ChangeStore, VariableStorage
        from airflow_provider_trackingmore.waiting.pollers import pollers_of_running_loop

        reporting = Reporting(
            account=self.account or self.trackingmore_conn_id,
            scope=default_stream("", self.filters),
            statuses=frozenset(self.statuses or ()),
            include_existing=self.include_existing,
        )
        options = WatchOptions(
            self.name,
            self.filters,
            self.poke_interval,
            self.reconcile_seconds,
            self.max_changes_per_event,
            reporting,
            self.trackingmore_conn_id,
        )
        pollers = pollers_of_running_loop(METRICS)
        store = getattr(self, "asset_state_store", None)
        storage = VariableStorage() if store is None else AssetStorage(store)
        return ChangeFeed(
            options,
            ChangeStore(storage, self.name),
            lambda: self._connect(pollers),
            pollers,
            observer=METRICS,
            lock=watcher_lock(json.dumps(self.serialize()[1], sort_keys=True)),
        )


def _plain_filters(filters: Mapping[str, object]) -> dict[str, object]:
    """Validate filters, and convert them to plain JSON."""
    for name in REFUSED_FILTERS:
        if filters.get(name) is not None:
            raise InvalidArgumentError(f"filters cannot contain {name}: a watcher finds changes by itself")
    if filters.get("status") is not None:
        raise InvalidArgumentError("filters cannot contain status, or no change could be seen: use statuses instead")
    filter_query(filters)
    return {name: _plain(name, value) for name, value in filters.items() if value is not None}


def _plain(name: str, value: object) -> object:
    if name.endswith(("_min", "_max")):
        return to_unix_seconds(value)
    return list(value) if isinstance(value, list | tuple) else value
