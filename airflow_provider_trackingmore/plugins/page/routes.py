"""The JSON routes of the page."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.plugins.deferred_waits import DeferredWaits
from airflow_provider_trackingmore.plugins.page.access import BaseUser, User, readable_connections, readable_dag_ids
from airflow_provider_trackingmore.plugins.page.accounts import accounts_to_json
from airflow_provider_trackingmore.plugins.page.errors import PageError, PageRoute
from airflow_provider_trackingmore.plugins.page.lanes import LaneReader
from airflow_provider_trackingmore.plugins.page.options import shows_event_texts, sql_conn_id, sql_schema
from airflow_provider_trackingmore.plugins.page.parcels import NOT_READ, PARCELS, ParcelReader
from airflow_provider_trackingmore.plugins.page.reports import Reports
from airflow_provider_trackingmore.plugins.page.times import to_iso
from airflow_provider_trackingmore.plugins.page.wait_index import WaitIndex
from airflow_provider_trackingmore.plugins.page.waits import (
    MAX_LIMIT,
    Snapshot,
    SortBy,
    WaitQuery,
    find_waits,
    wait_to_json,
)
from airflow_provider_trackingmore.plugins.task_waits import SENSORS, FoundTask, TaskKey, find_task
from airflow_provider_trackingmore.waiting.spec import WaitSpec

MAX_SEARCH = 200
MAX_OFFSET = 10_000_000
_MAP_INDEX = re.compile(r"-?[0-9]{1,9}")


class PageRoutes:
    """Answers the page's requests for data.

    :param waits: the index of the deferred waits.
    """

    def __init__(self, waits: DeferredWaits) -> None:
        self._reports = Reports()
        self._index = WaitIndex(waits, self._reports)
        self._lanes = LaneReader(sql_conn_id(), sql_schema())
        self._parcels = ParcelReader(self._reports.settings, with_texts=shows_event_texts())

    def router(self) -> APIRouter:
        """Return the routes, below ``/page/api``."""
        router = APIRouter(prefix="/page/api", route_class=PageRoute)
        router.add_api_route("/waits", self.read_waits)
        router.add_api_route("/wait", self.read_wait)
        router.add_api_route("/accounts", self.read_accounts)
        router.add_api_route("/lanes", self.read_lanes)
        return router

    async def read_waits(
        self,
        user: User,
        search: Annotated[str, Query(max_length=MAX_SEARCH)] = "",
        sort: SortBy | None = None,
        descending: bool = False,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
        late: bool = False,
    ) -> JSONResponse:
        """``GET /page/api/waits``: the open waits.

        :param user: the user.
        :param search: part of a DAG, task, order or tracking number.
        :param sort: the column to sort by.
        :param descending: whether to reverse the order.
        :param offset: how many waits to skip.
        :param limit: how many waits to return.
        :param late: whether to return only late waits.
        :return: see :func:`~airflow_provider_trackingmore.plugins.page.waits.find_waits`.
        """
        query = WaitQuery(search, sort, descending, offset, limit, late)
        snapshot = await self._index.snapshot()
        answer = await run_in_threadpool(lambda: find_waits(snapshot, query, readable_dag_ids(user), time.time()))
        return JSONResponse(answer)

    async def read_wait(
        self,
        user: User,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: str = "-1",
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    ) -> JSONResponse:
        """``GET /page/api/wait``: one task instance, and the state of its shipments.

        :param user: the user.
        :param dag_id: its DAG.
        :param run_id: its run. Airflow 3.1 does not encode ``+`` in URLs, so a space may stand for one.
        :param task_id: its task.
        :param map_index: its map index; Airflow sends the text ``{MAP_INDEX}`` for a task that is not mapped.
        :param offset: how many shipments to skip.
        :return: ``is_wait``; then ``wait``, ``parcels`` and what is known about their reading, or else ``reason`` and
            ``state``.
        """
        index = int(map_index) if _MAP_INDEX.fullmatch(map_index) else -1
        task = await run_in_threadpool(_find_task, user, TaskKey(dag_id, run_id, task_id, index))
        if task.stored is None:
            reason = "not_deferred" if task.operator in SENSORS else "not_a_sensor"
            return JSONResponse({"is_wait": False, "reason": reason, "state": task.state or None})
        wait, spec = task.stored
        progress = await run_in_threadpool(self._reports.progress, [wait.conn_id])
        row = wait_to_json(wait, progress.get(wait.trigger_id), time.time())
        row |= {
            "statuses_wanted": sorted(spec.statuses),
            "wait_for": spec.wait_for,
            "poke_interval": spec.poke_interval,
        }
        parcels = list(islice(_parcels(spec), offset, offset + PARCELS))
        reading = await self._parcels.read(wait.conn_id, list({key.normalized: key for _, key in parcels}.values()))
        return JSONResponse(
            {
                "is_wait": True,
                "wait": row,
                "parcel_total": spec.size,
                "parcels": [
                    {**key._asdict(), "order": order, **reading.parcels.get(key.normalized, NOT_READ)}
                    for order, key in parcels
                ],
                "parcels_read_at": to_iso(reading.read_at),
                "parcels_from": reading.source,
                "parcels_error": reading.error,
                "next_read_at": to_iso(reading.next_read_at),
            }
        )

    async def read_accounts(self, user: User) -> JSONResponse:
        """``GET /page/api/accounts``: the accounts, their calls and their limits.

        :param user: the user.
        :return: see :func:`~airflow_provider_trackingmore.plugins.page.accounts.accounts_to_json`.
        """
        snapshot = await self._index.snapshot()
        return JSONResponse(await run_in_threadpool(self._accounts, user, snapshot))

    async def read_lanes(self) -> JSONResponse:
        """``GET /page/api/lanes``: lanes, carriers and stuck shipments of the load tables.

        :return: see :meth:`~airflow_provider_trackingmore.plugins.page.lanes.LaneReader.read`.
        """
        return JSONResponse(await self._lanes.read())

    def _accounts(self, user: BaseUser, snapshot: Snapshot) -> dict[str, object]:
        readable = readable_dag_ids(user)
        waits = Counter(wait.conn_id for wait in snapshot.waits if wait.conn_id and wait.task.key.dag_id in readable)
        reports = self._reports.read(waits)
        connections = readable_connections(user)
        reported = {conn_id for report in reports for conn_id in report.conn_ids}
        visible = set(waits) | (reported if connections is None else reported & connections)
        settings = {conn_id: self._reports.settings(conn_id) for conn_id in waits}
        return accounts_to_json(reports, waits, settings, visible, time.time())


def _find_task(user: BaseUser, key: TaskKey) -> FoundTask:
    if key.dag_id not in readable_dag_ids(user):
        raise _not_found()
    task = find_task(key)
    if task is None and " " in key.run_id:
        task = find_task(key._replace(run_id=key.run_id.replace(" ", "+")))
    if task is None:
        raise _not_found()
    return task


def _parcels(spec: WaitSpec) -> Iterator[tuple[str | None, ShipmentKey]]:
    """Yield all parcels of a wait, each with its order."""
    return ((order, key) for order, shipments in spec.orders.items() for key in shipments.values())


def _not_found() -> PageError:
    return PageError(404, "There is no such task instance.", "It may have been cleared, or you may not read its DAG.")
