"""The operator for air waybills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.filters import check_waybills
from airflow_provider_trackingmore.api.limits import AIR_CARGO_QUOTA
from airflow_provider_trackingmore.operators.entries import record_entry
from airflow_provider_trackingmore.operators.rendered import flag, one_or_more, text
from airflow_provider_trackingmore.operators.task import TrackingMoreTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.resources import AirCargo


class TrackAirCargoOperator(TrackingMoreTask):
    """Follow air waybills (``POST /trackings/aircargo``, 20 a call). **Each costs 20 units of quota, each time.**

    It returns a dict, waybill -> ``waybill``, ``origin``, ``destination``, ``pieces``, ``weight``, ``status_number``,
    ``airline``, ``track_url``, ``events`` and ``flights`` (lists of dicts, times as the airline writes them); those
    that TrackingMore does not know are left out. A retry of the task pays again, so its default is ``retries=0``;
    ``default_args`` of the DAG and ``partial()`` override that.

    :param waybills: numbers such as ``172-28891936``; each is asked for once however often it is mentioned.
    :param lang: two letters.
    :param quota_floor: units of quota that must be left; otherwise the task fails before it spends any.
    :param include_raw: whether to return the vendor's record too.
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields = ("waybills", "lang", "quota_floor", "include_raw", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        waybills: Sequence[str] | str,
        lang: str | None = None,
        quota_floor: float | None = None,
        include_raw: bool = False,
        retries: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, **kwargs)
        self.waybills = waybills
        self.lang = lang
        self.quota_floor = quota_floor
        self.include_raw = include_raw

    def execute(self, context: Context) -> dict[str, dict[str, Any]]:
        """Ask for all of them.

        :param context: Airflow's.
        :return: waybill -> record.
        """
        include_raw, lang = flag("include_raw", self.include_raw), text("lang", self.lang)
        numbers = check_waybills(one_or_more("waybills", self.waybills, "texts"))
        if not numbers:
            self.log.info("No waybills: nothing to do")
            return {}
        with self.hook() as hook:
            self.check_quota(hook, AIR_CARGO_QUOTA * len(numbers), self.quota_floor)
            try:
                found = hook.track_air_cargo(numbers, lang=lang)
            except TrackingMoreError as error:
                self.push(context, _plain(error.found or {}, include_raw))  # it is paid for
                raise
        self.log.info("TrackingMore knows %d of %d waybills", len(found), len(numbers))
        return _plain(found, include_raw)


def _plain(found: Mapping[str, AirCargo], include_raw: bool) -> dict[str, dict[str, Any]]:
    return {waybill: record_entry(cargo, include_raw=include_raw) for waybill, cargo in found.items()}
