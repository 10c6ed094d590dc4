"""Operators for carriers: which there are, whose number this is, how long they take, where they charge extra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.limits import BATCH_SIZE, DETECT_QUOTA, REMOTE_QUOTA
from airflow_provider_trackingmore.api.shipments import check_number
from airflow_provider_trackingmore.operators.entries import record_entry
from airflow_provider_trackingmore.operators.rendered import choice, flag, one_or_more, text, word
from airflow_provider_trackingmore.operators.task import TrackingMoreTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class CarrierNotDecidedError(AirflowFailException):
    """For some numbers there is no carrier, or more than one and ``pick="only"``."""


class ListCarriersOperator(TrackingMoreTask):
    """List the carriers that TrackingMore follows (``GET /carriers``).

    It returns a list of dicts: ``code``, ``name``, ``type`` (``express`` or ``globalpost``), ``phone``, ``homepage``.

    :param lang: language of the names: en, cn, tw, es, ru or it.
    :param include_raw: whether to return the vendor's record too.
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields = ("lang", "include_raw", "trackingmore_conn_id")

    def __init__(self, *, lang: str = "en", include_raw: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lang = lang
        self.include_raw = include_raw

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List them.

        :param context: Airflow's.
        :return: one dict per carrier.
        """
        include_raw = flag("include_raw", self.include_raw)
        with self.hook() as hook:
            carriers = hook.list_carriers(text("lang", self.lang) or "en")
        self.log.info("TrackingMore follows %d carriers", len(carriers))
        return [record_entry(carrier, include_raw=include_raw) for carrier in carriers]


class DetectCarrierOperator(TrackingMoreTask):
    """Ask TrackingMore whose numbers these are (``POST /carriers/detect``, one call a number).

    **5 calls cost one unit of quota.** It never picks silently: without ``pick`` the candidates come back, best first.
    It returns ``{"detected": [...], "undetected": [...]}``. Entries hold ``tracking_number`` and ``candidates`` (dicts
    with ``code`` and ``name``); with ``pick`` those in ``detected`` also hold ``carrier_code``, so that the list is
    what ``CreateTrackingsOperator`` takes.

    :param tracking_numbers: one number or a list of them; each is asked for once.
    :param pick: ``"first"`` takes the best candidate; ``"only"`` takes it when there is no other; None picks nothing.
    :param on_undetected: ``"fail"`` fails, after pushing the result, when a number is left without what ``pick`` asks
        for; ``"report"`` succeeds and lists it under ``undetected``.
    :param quota_floor: units of quota that must be left; otherwise the task fails before it spends any.
    :param trackingmore_conn_id: the Airflow connection.
    :raises CarrierNotDecidedError: with ``on_undetected="fail"``; names each number and its candidates.
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
        """Ask for one number after the other.

        :param context: Airflow's.
        :return: what was found, and for which numbers nothing was.
        """
        pick = None if word(self.pick) is None else choice("pick", self.pick, ("first", "only"))
        on_undetected = choice("on_undetected", self.on_undetected, ("fail", "report"))
        given = one_or_more("tracking_numbers", self.tracking_numbers, "texts")
        numbers = list(dict.fromkeys(check_number(number) for number in given))
        result: dict[str, list[dict[str, Any]]] = {"detected": [], "undetected": []}
        if not numbers:
            self.log.info("No numbers: nothing to do")
            return result
        with self.hook() as hook:
            self.check_quota(hook, DETECT_QUOTA * len(numbers), self.quota_floor)
            try:
                for number in numbers:
                    candidates = [{"code": one.code, "name": one.name} for one in hook.detect_carrier(number)]
                    entry: dict[str, Any] = {"tracking_number": number, "candidates": candidates}
                    if not candidates or (pick == "only" and len(candidates) > 1):
                        result["undetected"].append(entry)
                    else:
                        picked = {"carrier_code": candidates[0]["code"]} if pick else {}
                        result["detected"].append(entry | picked)
            except TrackingMoreError:
                self.push(context, result)  # it is paid for
                raise
        self.log.info("Detected %d, undetected %d", len(result["detected"]), len(result["undetected"]))
        if result["undetected"] and on_undetected == "fail":
            self.push(context, result)
            raise CarrierNotDecidedError(_named(result["undetected"]))
        return result


class TransitTimesOperator(TrackingMoreTask):
    """Read how long carriers take between two countries (``POST /trackings/costtime``).

    It returns a list of dicts: ``carrier_code``, ``original``, ``destination``, ``total`` and ``delivered``
    (shipments), ``days_0_7``, ``days_7_15``, ``days_16_30``, ``days_31_60`` (shares of ``delivered``, 0 to 1; None
    where the answer has none).

    :param lanes: mappings with ``carrier_code``, ``original`` and ``destination`` (ISO 3166 alpha-2).
    :param include_raw: whether to return the vendor's record too.
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields = ("lanes", "include_raw", "trackingmore_conn_id")

    def __init__(
        self, *, lanes: Sequence[Mapping[str, str]] | Mapping[str, str], include_raw: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lanes = lanes
        self.include_raw = include_raw

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read them.

        :param context: Airflow's.
        :return: one dict per lane that TrackingMore knows.
        """
        include_raw = flag("include_raw", self.include_raw)
        lanes = one_or_more("lanes", self.lanes, "mappings")
        if not lanes:
            self.log.info("No lanes: nothing to do")
            return []
        with self.hook() as hook:
            times = hook.get_transit_times(lanes)
        self.log.info("TrackingMore knows %d lanes", len(times))
        return [record_entry(lane, include_raw=include_raw) for lane in times]


class RemoteAreasOperator(TrackingMoreTask):
    """Ask which places carriers treat as remote (``POST /trackings/remote``, 40 a call).

    **5 calls cost one unit of quota.**

    It returns a list of dicts: ``company``, ``country_code``, ``country``, ``postcode``, and ``listed_as``, which is
    ``"remote"`` in the one entry per carrier that treats a place as remote, and ``"other"`` in what TrackingMore lists
    apart without saying what it means. It knows the lists of DHL, UPS, FedEx and TNT only.

    :param places: mappings with ``country`` (name or ISO alpha-2), ``postcode`` (or city), optionally ``company``.
    :param quota_floor: units of quota that must be left; otherwise the task fails before it spends any.
    :param include_raw: whether to return the vendor's record too.
    :param trackingmore_conn_id: the Airflow connection.
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
        """Ask for all of them.

        :param context: Airflow's.
        :return: one dict per carrier and place, and one for each other place.
        """
        include_raw = flag("include_raw", self.include_raw)
        places = one_or_more("places", self.places, "mappings")
        if not places:
            self.log.info("No places: nothing to do")
            return []
        with self.hook() as hook:
            self.check_quota(hook, REMOTE_QUOTA * math.ceil(len(places) / BATCH_SIZE), self.quota_floor)
            try:
                areas = hook.check_remote_areas(places)
            except TrackingMoreError as error:
                self.push(context, [record_entry(area, include_raw=include_raw) for area in error.found or ()])
                raise
        remote = sum(area.listed_as == "remote" for area in areas)
        self.log.info("%d entries of remote areas for %d places", remote, len(places))
        return [record_entry(area, include_raw=include_raw) for area in areas]


def _named(entries: list[dict[str, Any]]) -> str:
    shown = "; ".join(
        f"{entry['tracking_number']}: {', '.join(one['code'] for one in entry['candidates']) or 'no carrier found'}"
        for entry in entries[:20]
    )
    rest = f"; and {len(entries) - 20} more in the result" if entries[20:] else ""
    return f"not decided: {shown}{rest}. Give the carrier_code yourself, or choose another pick"
