"""Base classes of the operators: connection, hook, links, quota check, and the report on a batch of shipments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.exceptions import BatchInterruptedError, ShipmentsRejectedError
from airflow_provider_trackingmore.links import SHIPMENT_LINKS, push_links
from airflow_provider_trackingmore.operators.template_values import (
    as_shipments,
    parse_choice,
    parse_quota_floor,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.reports import BatchReport
    from airflow_provider_trackingmore.api.shipments import Shipment
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

OnRejected = Literal["fail", "report"]


class TrackingMoreBaseOperator(BaseOperator):
    """Base class of all TrackingMore operators.

    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields: Sequence[str] = ("trackingmore_conn_id",)
    ui_color = "#e8f1fb"

    def __init__(self, *, trackingmore_conn_id: str = "trackingmore_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trackingmore_conn_id = trackingmore_conn_id

    @cached_property
    def hook(self) -> TrackingMoreHook:
        """The hook. Used in a ``with`` block, it closes its connections at the end."""
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        return TrackingMoreHook(self.trackingmore_conn_id)

    def _push_result(self, context: Context, result: Any) -> None:
        """Push the result of a task that is about to fail, unless ``do_xcom_push`` is False."""
        if self.do_xcom_push and "ti" in context:
            context["ti"].xcom_push(key="return_value", value=result)

    def _check_quota(self, hook: TrackingMoreHook, cost: float, floor: object) -> None:
        """Fail before any quota is spent if less than ``floor`` units would remain; None is no floor."""
        minimum = parse_quota_floor(floor)
        if minimum is not None:
            hook.check_quota(cost, minimum)


class ShipmentsBaseOperator(TrackingMoreBaseOperator):
    """Base class of the operators that change a list of shipments and report on each of them.

    :param shipments: mappings with ``tracking_number`` and ``carrier_code``; a single mapping is accepted too.
    :param on_rejected: ``"fail"`` pushes the report and then fails; ``"report"`` succeeds.
    :param trackingmore_conn_id: the Airflow connection.
    :raises ShipmentsRejectedError: with ``on_rejected="fail"``, after the report was pushed.
    :raises BatchInterruptedError: if the account or the connection fails; the report so far is pushed first.
    :raises InvalidArgumentError: before any call, if an argument cannot be used.
    """

    template_fields: Sequence[str] = ("shipments", "on_rejected", "trackingmore_conn_id")
    operator_extra_links = SHIPMENT_LINKS

    def __init__(
        self, *, shipments: list[Shipment] | Shipment, on_rejected: OnRejected = "fail", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.shipments = shipments
        self.on_rejected = on_rejected

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the shipments and report on each. If the task fails midway, it pushes the report so far.

        :param context: Airflow task context.
        :return: the report as plain data.
        """
        on_rejected = parse_choice("on_rejected", self.on_rejected, ("fail", "report"))
        shipments = as_shipments(self.shipments)
        if not shipments:
            self.log.info("No shipments: nothing to do")
        with self.hook as hook:
            try:
                report = self._send_shipments(hook, shipments)
            except BatchInterruptedError as error:
                push_links(self, context, error.report.accepted, hook)
                self._push_result(context, self._report_to_dict(error.report))
                raise
            push_links(self, context, report.accepted, hook)
        if report.rejected and on_rejected == "fail":
            self._push_result(context, self._report_to_dict(report))
            raise ShipmentsRejectedError(_describe_rejected(report))
        return self._report_to_dict(report)

    @abstractmethod
    def _send_shipments(self, hook: TrackingMoreHook, shipments: list[Any]) -> BatchReport:
        """Send the shipments, as the user gave them, with the call of this operator."""

    def _report_to_dict(self, report: BatchReport) -> dict[str, Any]:
        return report.as_dict()


def _describe_rejected(report: BatchReport) -> str:
    reasons = format_list(report.rejected, separator="; ", more="more in the report")
    return f"{len(report.rejected)} of {len(report)} shipments were rejected: {reasons}"
