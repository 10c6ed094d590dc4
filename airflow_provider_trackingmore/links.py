"""Extra links from task instances to the pages of their shipments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import XCom

from airflow_provider_trackingmore.api.models import ShipmentKey

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    # Airflow 2 and 3 have different base classes; only one of them is there.
    from airflow.sdk import BaseOperatorLink
    from airflow.sdk.types import TaskInstanceKey
else:
    from airflow.providers.common.compat.sdk import BaseOperatorLink

DASHBOARD = "https://my.trackingmore.com/"
TRACKING_PAGE = "https://www.trackingmore.com/track/en/{number}?express={carrier}"
"""Where TrackingMore's own plug-ins send a buyer."""

LINK_XCOM = "trackingmore_link"


def tracking_url(shipments: Iterable[ShipmentKey]) -> str:
    """Choose the page for a task.

    :param shipments: what the task is about.
    :return: the public tracking page of a single shipment, the account's dashboard for any other number.
    """
    keys = list(shipments)
    if len(keys) != 1:
        return DASHBOARD
    return TRACKING_PAGE.format(number=quote(keys[0].tracking_number, safe=""), carrier=quote(keys[0].carrier_code))


def push_link(task: BaseOperator, context: Context, shipments: Iterable[ShipmentKey]) -> None:
    """Note for :class:`TrackingMoreLink` which page a task is about.

    :param task: the task; one whose ``do_xcom_push`` is False leaves nothing.
    :param context: Airflow's; without a task instance, as where users test a task alone, nothing is left.
    :param shipments: what the task is about.
    """
    if task.do_xcom_push and "ti" in context:
        context["ti"].xcom_push(key=LINK_XCOM, value=tracking_url(shipments))


class TrackingMoreLink(BaseOperatorLink):
    """The tracking page of the task's shipment, or the dashboard when there are several."""

    name = "TrackingMore"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Read the link that the task left.

        :param operator: the task.
        :param ti_key: which of its runs; a mapped task has one for each index.
        :return: the address; the dashboard while the task has left none.
        """
        link = XCom.get_value(ti_key=ti_key, key=LINK_XCOM)
        return link if isinstance(link, str) and link.startswith("https://") else DASHBOARD
