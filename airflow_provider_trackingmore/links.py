"""Extra links from a task instance to TrackingMore's public pages of its shipments."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import XCom

from airflow_provider_trackingmore.api.models import ShipmentKey

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    # Airflow 2 and 3 have different base classes, and each has only one of them.
    from airflow.sdk import BaseOperatorLink
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
else:
    from airflow.providers.common.compat.sdk import BaseOperatorLink

TRACKING_PAGE = "https://www.trackingmore.com/track/en/{number}?express={carrier}"
"""The page to which TrackingMore's own plug-ins send buyers."""

LINK_XCOM = "trackingmore_links"


def tracking_url(shipment: ShipmentKey) -> str:
    """Return the address of a shipment's public page.

    :param shipment: the shipment.
    :return: the address.
    """
    return TRACKING_PAGE.format(number=quote(shipment.tracking_number, safe=""), carrier=quote(shipment.carrier_code))


def push_links(task: BaseOperator, context: Context, shipments: Iterable[ShipmentKey], hook: TrackingMoreHook) -> None:
    """Push the addresses that the links show, those of the first shipments.

    The list is empty for shipments at another base URL than TrackingMore's, such as the sandbox: its public pages do
    not know them.

    :param task: the task; with ``do_xcom_push=False`` nothing is pushed.
    :param context: Airflow task context; without a task instance, as in tests of a task alone, nothing is pushed.
    :param shipments: the shipments of the task.
    :param hook: the account.
    """
    first = list(islice(shipments, len(SHIPMENT_LINKS)))
    if not (first and task.do_xcom_push and "ti" in context):
        return
    try:
        has_public_pages = hook.get_conn().settings.is_vendor_host
    except Exception:  # a link is not worth a failure; if the connection is needed, the task reports what is wrong
        return
    urls = [tracking_url(shipment) for shipment in first] if has_public_pages else []
    # An empty list rather than no XCom: Airflow 3 reads the XCom for each link, and logs an error if there is none.
    context["ti"].xcom_push(key=LINK_XCOM, value=urls)


class ShipmentLink(BaseOperatorLink):
    """The public page of one of the task's first shipments; the base class of the links."""

    position = 0

    @property
    def name(self) -> str:
        """The label of the link."""
        return f"Shipment {self.position + 1}"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Read the address that the task pushed.

        :param operator: the task.
        :param ti_key: the task instance; each instance of a mapped task has its own links.
        :return: the address; empty, so that Airflow shows no link, if there is none.
        """
        urls = XCom.get_value(ti_key=ti_key, key=LINK_XCOM)
        url = urls[self.position] if isinstance(urls, list) and len(urls) > self.position else ""
        return url if isinstance(url, str) and url.startswith("https://") else ""


# Airflow stores a link by its class, so each position needs one.


class FirstShipmentLink(ShipmentLink):
    """The public page of the task's first shipment."""


class SecondShipmentLink(ShipmentLink):
    """The public page of the task's second shipment."""

    position = 1


class ThirdShipmentLink(ShipmentLink):
    """The public page of the task's third shipment."""

    position = 2


SHIPMENT_LINKS = (FirstShipmentLink(), SecondShipmentLink(), ThirdShipmentLink())
