"""Find out what a load would request, without loading."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from airflow_provider_trackingmore.api.limits import FILTER_NUMBERS, PAGE_SIZE
from airflow_provider_trackingmore.loading.load import LoadOptions
from airflow_provider_trackingmore.loading.source import ShipmentSource
from airflow_provider_trackingmore.loading.state import LoadState
from airflow_provider_trackingmore.loading.window import change_filters, plan_window, window_filters


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One of the requests of a load.

    :param request: ``registered`` (the list of the window), ``changed`` (the list of what is older and has changed) or
        ``by number`` (shipments that are older and not settled).
    :param since: Unix seconds from which the list begins; None for everything.
    :param shipments: how many it returns; None if TrackingMore does not say so.
    :param calls: how many HTTP requests it takes at least.
    """

    request: str
    since: int | None
    shipments: int | None
    calls: int


def preview_load(source: ShipmentSource, state: LoadState, options: LoadOptions) -> tuple[PlannedRequest, ...]:
    """Count what a load would request, with one ``GET /trackings/get`` per list.

    :param source: reads the account.
    :param state: the state left by the previous load.
    :param options: what to load.
    :return: the requests, in their order.
    :raises TrackingMoreError: if the account or the connection fails.
    """
    window = plan_window(state, full_refresh=options.full_refresh)
    requests = [
        _list("registered", window.created_from, source.count_trackings(window_filters(window, options.filters)))
    ]
    if (changed := change_filters(window, options.filters)) is not None:
        requests.append(_list("changed", window.changed_from, source.count_trackings(changed)))
    start = window.created_from
    older = [created for created in state.open.values() if start is not None and (created is None or created < start)]
    if older:
        requests.append(PlannedRequest("by number", None, len(older), ceil(len(older) / FILTER_NUMBERS)))
    return tuple(requests)


def _list(request: str, since: int | None, shipments: int | None) -> PlannedRequest:
    return PlannedRequest(request, since, shipments, max(1, ceil((shipments or 0) / PAGE_SIZE)))
