"""A task that does one thing with a list of shipments, reports on each of them, and says when that is a failure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.shipments import as_list, check_shipments
from airflow_provider_trackingmore.links import leave_link
from airflow_provider_trackingmore.operators.rendered import choice
from airflow_provider_trackingmore.operators.task import TrackingMoreTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.reports import BatchReport
    from airflow_provider_trackingmore.api.shipments import Shipment
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

OnRejected = Literal["fail", "report"]


class ShipmentsRejectedError(AirflowFailException):
    """Some shipments were not accepted. Trying again does not help, so Airflow does not."""


class BatchTask(TrackingMoreTask):
    """A task that does one thing with a list of shipments and returns the account of it.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; one mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails; ``"report"`` succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields: Sequence[str] = ("shipments", "on_rejected", "trackingmore_conn_id")

    def __init__(
        self, *, shipments: list[Shipment] | Shipment, on_rejected: OnRejected = "fail", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shipments = shipments
        self.on_rejected = on_rejected

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it, push the account of every shipment, and fail if some were rejected and ``on_rejected`` says so.

        :param context: Airflow's.
        :return: the report as plain data.
        """
        on_rejected = choice("on_rejected", self.on_rejected, ("fail", "report"))
        shipments = as_list(self.shipments)
        if not shipments:
            self.log.info("No shipments: nothing to do")
        leave_link(self, context, check_shipments(shipments).bodies)
        try:
            with self.hook() as hook:
                report = self.carry_out(hook, shipments)
        except TrackingMoreError as error:
            if error.report is not None:
                self.push(context, self.plain(error.report))
            raise
        if report.rejected and on_rejected == "fail":
            self.push(context, self.plain(report))
            raise ShipmentsRejectedError(_named(report))
        return self.plain(report)

    @abstractmethod
    def carry_out(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Do the one thing.

        :param hook: the account.
        :param shipments: as the user gave them.
        :return: the account of each of them.
        """

    def plain(self, report: BatchReport) -> dict[str, Any]:
        """Make of a report what the task returns.

        :param report: the account of each shipment.
        :return: plain data.
        """
        return report.as_dict()


def _named(report: BatchReport) -> str:
    shown = "; ".join(map(str, report.rejected[:20]))
    rest = f"; and {len(report.rejected) - 20} more in the report" if report.rejected[20:] else ""
    return f"{len(report.rejected)} of {len(report)} shipments were rejected: {shown}{rest}"
