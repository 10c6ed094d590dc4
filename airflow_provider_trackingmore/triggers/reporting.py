"""Start the status reports of a triggerer, which the page in Airflow's API server shows."""

from __future__ import annotations

import asyncio
import logging
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import conf

from airflow_provider_trackingmore.status_reports.reporter import StatusReporter
from airflow_provider_trackingmore.waiting.pollers import Pollers

log = logging.getLogger(__name__)

_reporters: WeakKeyDictionary[asyncio.AbstractEventLoop, StatusReporter | None] = WeakKeyDictionary()


def start_reports(pollers: Pollers) -> None:
    """Report the status of the pollers once a minute, unless ``[trackingmore] status_reports`` is false.

    :param pollers: the pollers of the running event loop.
    """
    loop = asyncio.get_running_loop()
    if loop not in _reporters:
        _reporters[loop] = StatusReporter(pollers) if _is_wanted() else None
    reporter = _reporters[loop]
    if reporter is not None:
        reporter.start()


def _is_wanted() -> bool:
    try:
        return bool(conf.getboolean("trackingmore", "status_reports", fallback=True))
    except Exception as error:  # its class depends on the version; a typo in the configuration must not end waits
        log.warning("Status reports are off, because [trackingmore] status_reports is invalid: %s", error)
        return False
