"""Check the size of a deferred wait in Airflow's database."""

from __future__ import annotations

import json
import logging

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseTrigger

from airflow_provider_trackingmore.api.errors import InvalidArgumentError

log = logging.getLogger(__name__)

LARGE_TRIGGER_BYTES = 60_000
"""A stored trigger of this size is worth a warning, since a TEXT column of MySQL holds 65,535 bytes."""
_ADVICE = "Wait for fewer shipments in one task, or map the task over parts of them."


def check_stored_size(trigger: BaseTrigger, shipments: int) -> None:
    """Log a warning if a trigger is large.

    :param trigger: the trigger of a task that is about to be deferred.
    :param shipments: how many shipments it waits for.
    :raises InvalidArgumentError: if it is larger than ``[trackingmore] max_trigger_bytes``.
    """
    size = len(json.dumps(trigger.serialize()[1]))
    largest = conf.getint("trackingmore", "max_trigger_bytes", fallback=0)
    if 0 < largest < size:
        raise InvalidArgumentError(
            f"the wait for {shipments} shipments takes {size} bytes in Airflow's database, more than "
            f"[trackingmore] max_trigger_bytes = {largest}. {_ADVICE}"
        )
    if size >= LARGE_TRIGGER_BYTES:
        log.warning(
            "This wait for %d shipments takes %d bytes in Airflow's database, before encryption. MySQL cannot store "
            "more than 65,535. %s",
            shipments,
            size,
            _ADVICE,
        )
