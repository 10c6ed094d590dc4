"""Start the reports of a triggerer to the page in Airflow's API server."""

from __future__ import annotations

import asyncio
import logging
from weakref import WeakKeyDictionary

from airflow import __version__
from airflow.providers.common.compat.sdk import conf

from airflow_provider_trackingmore.status_reports.reporter import StatusReporter
from airflow_provider_trackingmore.waiting.pollers import Pollers

log = logging.getLogger(__name__)

FIRST_AIRFLOW_WITH_PAGE = (3, 1)

_reporters: WeakKeyDictionary[asyncio.AbstractEventLoop, StatusReporter | None] = WeakKeyDictionary()


def start_reports(pollers: Pollers) -> None:
    """Report what the pollers know, once a minute, if this Airflow has the page and the reports are not turned off.

    :param pollers: the pollers of the running event loop.
    """
    loop = asyncio.get_running_loop()
    if loop not in _reporters:
        _reporters[loop] = StatusReporter(pollers) if _is_wanted() else None
    reporter = _reporters[loop]
    if reporter is not None:
        reporter.start()


def _is_wanted() -> bool:
    if tuple(map(int, __version__.split(".")[:2])) < FIRST_AIRFLOW_WITH_PAGE:
        return False
    try:
        return bool(conf.getboolean("trackingmore", "status_reports", fallback=True))
    except Exception as error:  # its class depends on the Airflow; a typing error in the configuration ends no wait
        log.warning("No status is reported: %s", error)
        return False
