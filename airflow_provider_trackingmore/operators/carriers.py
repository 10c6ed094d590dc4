"""Operators about carriers: list them, detect the carrier of a number, read transit times, find remote areas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, DETECT_QUOTA, REMOTE_QUOTA
from airflow_provider_trackingmore.api.resources import RemoteList
from airflow_provider_trackingmore.api.validation import check_tracking_number
from airflow_provider_trackingmore.exceptions import CarrierNotDecidedError, LookupInterruptedError
from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from airflow_provider_trackingmore.operators.template_values import (
    as_list,
    parse_bool,
    parse_choice,
    parse_literal,
    parse_text,
)
from airflow_provider_trackingmore.serialization import record_to_dict

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trackingmore.api.endpoints import Lane, Place


class ListCarriersOperator(TrackingMoreBaseOperator):
    """List the carriers that TrackingMore supports (``GET /carriers``).

    It returns a list of dicts: ``code``, ``name``, ``type`` (``express`` or ``globalpost``), ``phone``, ``homepage``.

    :param lang: language of the names: ``en``, ``cn``, ``tw``, ``es``, ``ru`` or ``it``.
    :param include_raw: whether to add the vendor's record.
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any call, if ``lang`` is none of these.
    """

    template_fields = ("lang", "include_raw", "trackingmore_conn_id")

    def __init__(self, *, lang: str = "en", include_raw: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lang = lang
        self.include_raw = include_raw

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the carriers.

        :param context: Airflow task context.
        :return: one dict for each carrier.
        """
        include_raw = parse_bool("include_raw", self.include_raw)
        with self.hook as hook:
            carriers = hook.list_carriers(parse_text("lang", self.lang) or "en")
        self.log.info("TrackingMore supports %d carriers", len(carriers))
        return [record_to_dict(carrier, include_raw=include_raw) for carrier in carriers]


class DetectCarrierOperator(TrackingMoreBaseOperator):
    """Detect the carriers of tracking numbers (``POST /carriers/detect``, one call for each number).

    **5 calls cost one unit of quota.** Without ``pick`` the operator chooses nothing and returns the candidates, best
    first. It returns ``{"detected": [...], "undetected": [...]}``. Each entry holds ``tracking_number`` and
    ``candidates`` (dicts with ``code`` and ``name``). With ``pick`` the entries of ``detected`` also hold
    ``carrier_code``, so that ``CreateTrackingsOperator`` takes the list as it is.

    :param tracking_numbers: one number or a list of them; a number that is listed twice is requested once.
    :param pick: ``"first"`` chooses the best candidate; ``"only"`` chooses it only if it is the only one; None chooses
        nothing.
    :param on_undetected: ``"fail"`` pushes the result and then fails if a number has no carrier by the rule of
        ``pick``; ``"report"`` succeeds and lists it under ``undetected``.
    :param quota_floor: units of quota that must remain; otherwise the task fails before it spends any.
    :param trackingmore_conn_id: the Airflow connection.
    :raises QuotaFloorError: if less than ``quota_floor`` would remain.
    :raises CarrierNotDecidedError: with ``on_undetected="fail"``, naming each number and its candidates.
    :raises TrackingMoreError: if a call fails; the result so far is pushed first.
    """

    template_fields = ("tracking_numbers", "pick", "on_undetected", "quota_floor", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        tracking_numbers: Sequence[str] | str,
        pick: Literal["first", "only"] | None = None,
        on_undetected: Literal["fail", "report"] = "fail",
        quota_floor: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tracking_numbers = tracking_numbers
        self.pick = pick
        self.on_undetected = on_undetected
        self.quota_floor = quota_floor

    def execute(self, context: Context) -> dict[str, list[dict[str, Any]]]:
        """Detect the carrier of each number.

        :param context: Airflow task context.
        :return: the detected and the undetected numbers with their candidates.
        """
        pick = None if parse_literal(self.pick) is None else parse_choice("pick", self.pick, ("first", "only"))
        on_undetected = parse_choice("on_undetected", self.on_undetected, ("fail", "report"))
        given = as_list("tracking_numbers", self.tracking_numbers, "texts")
        numbers = list(dict.fromkeys(check_tracking_number(number) for number in given))
        result: dict[str, list[dict[str, Any]]] = {"detected": [], "undetected": []}
        if not numbers:
            self.log.info("No numbers: nothing to do")
            return result
        with self.hook as hook:
            self._check_quota(hook, DETECT_QUOTA * len(numbers), self.quota_floor)
            try:
                for number in numbers:
                    candidates = [
                        {"code": carrier.code, "name": carrier.name} for carrier in hook.detect_carrier(number)
                    ]
                    entry: dict[str, Any] = {"tracking_number": number, "candidates": candidates}
                    if not candidates or (pick == "only" and len(candidates) > 1):
                        result["undetected"].append(entry)
                    else:
                        picked = {"carrier_code": candidates[0]["code"]} if pick else {}
                        result["detected"].append(entry | picked)
            except TrackingMoreError:
                self._push_result(context, result)  # its quota is spent
                raise
        self.log.info("Detected %d, undetected %d", len(result["detected"]), len(result["undetected"]))
        if result["undetected"] and on_undetected == "fail":
            self._push_result(context, result)
            raise CarrierNotDecidedError(_describe_undetected(result["undetected"]))
        return result


class TransitTimesOperator(TrackingMoreBaseOperator):
    """Read the transit times of carriers between two countries (``POST /trackings/costtime``).

    It returns a list of dicts: ``carrier_code``, ``original``, ``destination``, ``total`` and ``delivered``
    (shipments), ``days_0_7``, ``days_7_15``, ``days_16_30``, ``days_31_60`` (shares of ``delivered``, 0 to 1, or
    None if the response has none).

    :param lanes: mappings with ``carrier_code``, ``original`` and ``destination`` (ISO 3166 alpha-2); a single mapping
        is accepted too.
    :param include_raw: whether to add the vendor's record.
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any call, if a lane is not valid.
    """

    template_fields = ("lanes", "include_raw", "trackingmore_conn_id")

    def __init__(
        self, *, lanes: Sequence[Mapping[str, str]] | Mapping[str, str], include_raw: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lanes = lanes
        self.include_raw = include_raw

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the transit times.

        :param context: Airflow task context.
        :return: one dict for each lane that TrackingMore knows.
        """
        include_raw = parse_bool("include_raw", self.include_raw)
        lanes = as_list("lanes", self.lanes, "mappings")
        if not lanes:
            self.log.info("No lanes: nothing to do")
            return []
        with self.hook as hook:
            times = hook.get_transit_times(cast("list[Lane]", lanes))
        self.log.info("TrackingMore knows %d of %d lanes", len(times), len(lanes))
        return [record_to_dict(lane, include_raw=include_raw) for lane in times]


class RemoteAreasOperator(TrackingMoreBaseOperator):
    """Find out which places carriers treat as remote areas (``POST /trackings/remote``, 40 a call).

    **5 calls cost one unit of quota.**

    It returns a list of dicts: ``company``, ``country_code``, ``country``, ``postcode`` and ``listed_as``, which is
    ``"remote"`` for each carrier that treats the place as remote, and ``"other"`` for entries that TrackingMore lists
    separately without documenting their meaning. TrackingMore has the lists of DHL, UPS, FedEx and TNT only.

    :param places: mappings with ``country`` (name or ISO 3166 alpha-2), ``postcode`` (or city) and optionally
        ``company``; a single mapping is accepted too.
    :param quota_floor: units of quota that must remain; otherwise the task fails before it spends any.
    :param include_raw: whether to add the vendor's record.
    :param trackingmore_conn_id: the Airflow connection.
    :raises InvalidArgumentError: before any call, if a place is not valid.
    :raises QuotaFloorError: if less than ``quota_floor`` would remain.
    :raises LookupInterruptedError: if a call fails; the result so far is pushed first.
    """

    template_fields = ("places", "quota_floor", "include_raw", "trackingmore_conn_id")

    def __init__(
        self,
        *,
        places: Sequence[Mapping[str, str]] | Mapping[str, str],
        quota_floor: float | None = None,
        include_raw: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.places = places
        self.quota_floor = quota_floor
        self.include_raw = include_raw

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Find out where the places are remote.

        :param context: Airflow task context.
        :return: one dict for each carrier that treats a place as remote, then the other entries.
        """
        include_raw = parse_bool("include_raw", self.include_raw)
        places = as_list("places", self.places, "mappings")
        if not places:
            self.log.info("No places: nothing to do")
            return []
        with self.hook as hook:
            self._check_quota(hook, REMOTE_QUOTA * math.ceil(len(places) / BATCH_SIZE), self.quota_floor)
            try:
                areas = hook.check_remote_areas(cast("list[Place]", places))
            except LookupInterruptedError as error:
                self._push_result(context, [record_to_dict(area, include_raw=include_raw) for area in error.found])
                raise
        remote = sum(area.listed_as is RemoteList.REMOTE for area in areas)
        self.log.info("Found %d remote-area entries for %d places", remote, len(places))
        return [record_to_dict(area, include_raw=include_raw) for area in areas]


def _describe_undetected(entries: list[dict[str, Any]]) -> str:
    candidates = [
        f"{entry['tracking_number']}: {', '.join(each['code'] for each in entry['candidates']) or 'no carrier found'}"
        for entry in entries
    ]
    listed = format_list(candidates, separator="; ", more="more in the result")
    return f"No carrier was chosen for {listed}. Set carrier_code yourself, or use another pick"
