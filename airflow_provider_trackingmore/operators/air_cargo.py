"""The operator that tracks air cargo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.limits import AIR_CARGO_QUOTA
from airflow_provider_trackingmore.api.validation import check_waybills
from airflow_provider_trackingmore.exceptions import LookupInterruptedError
from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from airflow_provider_trackingmore.operators.template_values import as_list, parse_bool, parse_language
from airflow_provider_trackingmore.serialization import record_to_dict

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.resources import AirCargo


class TrackAirCargoOperator(TrackingMoreBaseOperator):
    """Track air waybills (``POST /trackings/aircargo``, 20 a call). **Each costs 20 units of quota on every run.**

    It returns a dict, waybill -> ``waybill``, ``origin``, ``destination``, ``pieces``, ``weight``, ``status_number``,
    ``airline``, ``track_url``, ``events`` and ``flights`` (lists of dicts, with times as the airline writes them).
    Waybills that TrackingMore does not know are left out. A retry of the task spends the quota again, so ``retries``
    is 0 by default; ``default_args`` of the DAG and ``partial()`` override that.

    :param waybills: numbers such as ``172-28891936``, or a single one; a waybill that is listed twice, with and without
        the hyphen for instance, is requested and paid for once.
    :param lang: language of the texts, two letters.
    :param quota_floor: units of quota that must remain; otherwise the task fails before it spends any.
    :param include_raw: whether to add the vendor's record.
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any call, if a waybill or the language is not valid.
    :raises QuotaFloorError: if less than ``quota_floor`` would remain.
    :raises LookupInterruptedError: if a call fails; the result so far is pushed first.
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
        """Track the waybills.

        :param context: Airflow task context.
        :return: waybill -> record.
        """
        include_raw, lang = parse_bool("include_raw", self.include_raw), parse_language("lang", self.lang)
        numbers = check_waybills(as_list("waybills", self.waybills, "texts"))
        if not numbers:
            self.log.info("No waybills: nothing to do")
            return {}
        with self.hook as hook:
            self._check_quota(hook, AIR_CARGO_QUOTA * len(numbers), self.quota_floor)
            try:
                found = hook.track_air_cargo(numbers, lang=lang)
            except LookupInterruptedError as error:
                self._push_result(context, _to_dict(error.found, include_raw))  # its quota is spent
                raise
        self.log.info("TrackingMore knows %d of %d waybills", len(found), len(numbers))
        return _to_dict(found, include_raw)


def _to_dict(found: Mapping[str, AirCargo], include_raw: bool) -> dict[str, dict[str, Any]]:
    return {waybill: record_to_dict(cargo, include_raw=include_raw) for waybill, cargo in found.items()}
