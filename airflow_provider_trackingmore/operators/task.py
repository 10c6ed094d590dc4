"""What every TrackingMore task has: a connection, a hook, a link to the vendor's page, a floor under the quota."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_trackingmore.links import TrackingMoreLink
from airflow_provider_trackingmore.operators.rendered import number, word

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook


class QuotaFloorError(AirflowFailException):
    """The task would bring the account's quota below the floor that the user set. Nothing was spent."""


class TrackingMoreTask(BaseOperator):
    """A task that talks to TrackingMore.

    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields: Sequence[str] = ("trackingmore_conn_id",)
    operator_extra_links = (TrackingMoreLink(),)
    ui_color = "#e8f1fb"

    def __init__(self, *, trackingmore_conn_id: str = "trackingmore_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trackingmore_conn_id = trackingmore_conn_id

    def hook(self) -> TrackingMoreHook:
        """Make the hook; in a ``with`` block it closes its connections.

        :return: the hook.
        """
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        return TrackingMoreHook(self.trackingmore_conn_id)

    def push(self, context: Context, value: Any) -> None:
        """Leave a result that the task is not going to return, because it fails.

        :param context: Airflow's.
        :param value: what it would have returned; nothing is left where ``do_xcom_push`` is False.
        """
        if self.do_xcom_push and "ti" in context:
            context["ti"].xcom_push(key="return_value", value=value)

    def check_quota(self, hook: TrackingMoreHook, cost: float, floor: object) -> None:
        """Refuse to spend when too little would be left.

        :param hook: the account.
        :param cost: units that this task is going to spend.
        :param floor: units that must be left; None: any number may.
        :raises QuotaFloorError: with the balance; nothing has been spent.
        :raises InvalidArgumentError: if the floor is no number.
        """
        if word(floor) is None:
            return
        least = number("quota_floor", floor)
        left = hook.get_account().quota_left
        if left is None:
            raise QuotaFloorError(
                "quota_floor is set, but TrackingMore does not say how much quota is left: nothing was spent"
            )
        # Fifths of a unit do not add up exactly in binary.
        if round(left - cost, 6) < least:
            raise QuotaFloorError(
                f"{left} units of quota are left and this task costs {cost:g}: less than quota_floor={least:g} would "
                "remain, so nothing was spent. Top up the account or lower quota_floor"
            )
