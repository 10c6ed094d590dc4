"""The switches: one for each question on which the vendor's documentation is unclear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class SwitchError(ValueError):
    """An unknown switch or position."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch.

    :param values: the positions; empty means any number from ``minimum``.
    :param default: the position with the best evidence.
    :param description: what it decides.
    :param source: where the reference raises the question.
    :param minimum: the minimum, for a switch that holds a number.
    """

    values: tuple[str, ...]
    default: str
    description: str
    source: str
    minimum: float = 0


_YES_NO = ("true", "false")

SWITCHES: Mapping[str, Switch] = {
    # creating
    "created_code": Switch(("201", "200"), "201", "`meta.code` of a created tracking", "1.1; 1.5 LIVE has 201"),
    "batch_code": Switch(("201", "200"), "201", "`meta.code` of a batch", "1.5 LIVE"),
    "existing_form": Switch(
        ("4016", "201-empty", "201-object", "200-empty", "200-object"),
        "4016",
        "answer to registering an existing number",
        "1.1 CONTRADICTION",
    ),
    "batch_existing": Switch(
        ("errors", "trackings"), "errors", "where a batch lists an existing number", "1.5 LIVE has `errors`; 1.1"
    ),
    "batch_max": Switch((), "40", "maximum number of items in a body list", "1.5; 4 CONTRADICTION 40 or 200", 1),
    "batch_quota": Switch(
        ("errors", "refuse", "applied-then-4021"),
        "errors",
        "when the quota runs out within a batch: a 4021 per item; the whole batch is rejected; "
        "or the first ones are registered and the answer is 4021",
        "1.0b, INFERRED",
    ),
    "blank_carrier": Switch(
        ("4015", "detect"), "4015", "registering without a carrier is rejected, or the carrier is detected", "1.1"
    ),
    "readd_charge": Switch(
        ("free", "charge"), "free", "whether registering a deleted number again costs quota", "6.2 CONTRADICTION"
    ),
    "quota_code": Switch(("4021", "4019"), "4021", "code when the quota is exhausted", "2.1"),
    "field_forms": Switch(
        ("any", "documented"),
        "any",
        "undocumented date formats and numbers instead of texts are accepted, or rejected with 4012",
        "1.1, INFERRED",
    ),
    "number_format": Switch(
        ("sdk", "any"), "sdk", "tracking numbers must match the vendor's SDK, or may be any text", "1.0"
    ),
    # single answers
    "unknown_number": Switch(("4031", "4017"), "4031", "code of a GET for an unknown number", "1.2"),
    "bad_json": Switch(("4015", "4012"), "4015", "code of a body that is not JSON", "1.0; 9.1"),
    "empty_data": Switch(("list", "object", "null"), "list", "`data` of errors and of DELETE: [], {} or null", "1.0"),
    "key_header": Switch(("v2", "both"), "v2", "only Trackingmore-Api-Key is accepted, or Tracking-Api-Key too", "0"),
    # items
    "email_form": Switch(
        ("string", "array", "null"), "string", "`customer_email` as text, as list, or null when unset", "1.19 LIVE"
    ),
    "unset_text": Switch(
        ("null", "text-null", "empty"), "null", 'unset texts as null, as the text "null", or as ""', "1.1; 1.19"
    ),
    "tz": Switch(("+08:00", "+00:00"), "+08:00", "offset of `created_at` and `updated_at`", "1.0 LIVE has +08:00"),
    "courier_time": Switch(
        ("seconds", "minutes"), "seconds", "courier times with or without seconds", "1.0; LIVE 2019 has seconds"
    ),
    "destination_info": Switch(
        ("absent", "nulls"), "absent", "`destination_info` of a parcel that has none", "1.19 LIVE 2019, LIVE 2017"
    ),
    "leg_overlap": Switch(
        ("none", "handover"),
        "none",
        "each event is in one leg; or the handover event is in both, in the second with a trailing blank "
        "and without its substatus",
        "8",
    ),
    "track_update": Switch(("present", "absent"), "present", "whether items have `track_update`", "1.19 LIVE"),
    "substatus": Switch(
        ("rarely", "null", "filled"),
        "rarely",
        "`substatus`: only for exception and undelivered, never, or always (then in checkpoints too)",
        "3, INFERRED",
    ),
    "substatus_spelling": Switch(
        ("exception010", "exception0010"), "exception010", "spelling of two-digit substatuses", "3"
    ),
    "updated_at_delivered": Switch(
        ("null-at-first-refresh", "null", "time"),
        "null-at-first-refresh",
        "`updated_at` of delivered parcels: null if the first refresh found them delivered, always null, never null",
        "1.19 LIVE",
    ),
    "updated_at_moves": Switch(
        ("change", "refresh"), "change", "whether `updated_at` changes with the tracking, or at every refresh", "5"
    ),
    "refresh_hours": Switch(
        ("by-type", "4", "6"), "by-type", "hours between refreshes; by type: express 3, postal 6", "4"
    ),
    # lists
    "empty_list": Switch(("4031", "empty"), "4031", "an empty list as 4031 or as success without items", "1.6"),
    "total_as_string": Switch(_YES_NO, "true", "`total` of a list as text", "1.6 LIVE"),
    "list_count": Switch(("present", "absent"), "present", "whether a list has `count`", "1.6 LIVE"),
    "list_by_post": Switch(
        _YES_NO, "false", "whether POST /trackings/get works, with filters in the body", "1.0 INFERRED"
    ),
    "page_over_max": Switch(
        ("4012", "clamp"), "4012", "a `limit` above 2000 is rejected, or treated as 2000", "1.6, INFERRED"
    ),
    # reports of several
    "item_reports": Switch(
        ("full", "bare", "done", "none"),
        "full",
        "entries of delete, notupdate and updatemore: all fields, only the number, "
        "only changed shipments, or no entries",
        "1.8; 1.13",
    ),
    "item_meta": Switch(
        ("delete", "all", "none"),
        "delete",
        "which entries are wrapped in a `meta` object: those of delete, all, none",
        "1.8",
    ),
    "report_counts": Switch(
        ("number", "text", "absent"),
        "number",
        "counts of delete, notupdate and updatemore, and codes of their entries: as numbers, as text; or no counts",
        "1.8; 1.13; 1.6 LIVE has a count as text",
    ),
    "unchanged_count": Switch(
        ("counted", "left-out"),
        "counted",
        "whether notupdate and updatemore count shipments that needed no change",
        "1.7; 1.13, INFERRED",
    ),
    "updatemore_form": Switch(("counted", "empty"), "counted", "answer of updatemore: a report, or no data", "1.7"),
    # realtime
    "realtime_registers": Switch(_YES_NO, "false", "whether realtime registers the number", "1.9 CONTRADICTION"),
    "realtime_item": Switch(("old", "full"), "old", "item of realtime: as in its samples, or as in GET", "1.9"),
    "realtime_repeat": Switch(
        ("202", "429", "4020", "4012", "403"),
        "202",
        "code for the same shipment twice within 2 hours",
        "1.9; 2.1 INFERRED",
    ),
    "realtime_limit": Switch(
        ("account", "own-3"), "account", "realtime shares the account's 1/s, or has 3/s of its own", "1.9; 4"
    ),
    "realtime_activated": Switch(_YES_NO, "true", "false answers realtime with 4018", "1.9"),
    # others
    "userinfo_form": Switch(("flat", "plan"), "flat", "`track_number`, or `plan.remaining_order`", "1.11"),
    "userinfo_phone": Switch(("text", "number"), "text", "`phone` as text or as number", "1.11"),
    "carriers_meta_short": Switch(_YES_NO, "true", '`meta` of GET /carriers is {"code":200}', "1.0; 1.17"),
    "carrier_urls": Switch(("http", "relative"), "http", "`homepage` with http: or protocol-relative", "1.17 LIVE"),
    "costtime_ranges": Switch(
        ("share", "percent", "percent-sign"),
        "share",
        "shares of costtime as `0.125`, as `12.5`, or as the text `12.5%`",
        "1.15",
    ),
    "costtime_form": Switch(("list", "items"), "list", "answer of costtime: a list, or an object with `items`", "1.15"),
    "remote_other": Switch(
        ("question", "answer", "empty"),
        "question",
        "`other` of remote: the places that are not remote as requested, or in the form of `remote`, or none",
        "1.14",
    ),
    "waybill_max": Switch((), "20", "maximum number of air waybills in one call", "2.3 (4162); 1.16 names none", 1),
    # webhooks
    "webhook_form": Switch(
        ("v2", "v3"), "v2", "webhooks signed in `verifyInfo`, or beside `data` with the names of v3", "5 LIVE has v2"
    ),
    "webhook_time": Switch(("number", "text"), "number", "the signed time of a webhook as number or as text", "5 LIVE"),
    "webhook_wrapping": Switch(
        ("none", "text"),
        "none",
        "whether there is text around the JSON of a webhook",
        "5; the vendor's class allows it",
    ),
    "webhook_success": Switch(
        ("2xx", "200-text"), "2xx", "a webhook has arrived with any 2xx, or only with 200 and the text `200`", "5"
    ),
    "webhook_retries": Switch(
        ("14", "none"), "14", "retries of a webhook that has not arrived, after 60 s, 120 s, 240 s, …", "5; v4 only"
    ),
    "webhook_retry_time": Switch(
        ("same", "renewed"), "same", "whether a retry of a webhook is signed with the time of the retry", "5, unknown"
    ),
    # limits
    "rate_limit_form": Switch(("http200", "http429"), "http200", "HTTP status of a 429", "4 INFERRED"),
    "retry_after": Switch(("absent", "present"), "absent", "whether a 429 has a Retry-After header", "4"),
    "cool_down_refresh": Switch(
        ("rate", "any", "never"),
        "rate",
        "which requests during a cool-down restart it: those above the rate, all, none",
        "2.1 (429)",
    ),
    "rate_tolerance": Switch(
        (), "0", "real seconds by which a request may be early; the average rate stays", "ours, for busy machines"
    ),
}


class SwitchPositions:
    """The positions of all switches.

    :param positions: positions other than the defaults.
    """

    def __init__(self, positions: Mapping[str, str] | None = None) -> None:
        self._initial = validate_positions(positions or {})
        self.positions: dict[str, str] = {}
        self.reset()

    def __getitem__(self, name: str) -> str:
        return self.positions[name]

    def number(self, name: str) -> float:
        """Return the value of a numeric switch.

        :param name: the switch.
        :return: its value.
        """
        return float(self.positions[name])

    def is_true(self, name: str) -> bool:
        """Return the value of a boolean switch.

        :param name: the switch.
        :return: its value.
        """
        return self.positions[name] == "true"

    def set(self, positions: Mapping[str, object]) -> None:
        """Set switches; if one is invalid, none is set.

        :param positions: name to position.
        :raises SwitchError: an unknown switch or position.
        """
        self.positions.update(validate_positions(positions))

    def reset(self) -> None:
        """Restore the positions of the start."""
        self.positions = {name: switch.default for name, switch in SWITCHES.items()} | self._initial


def validate_positions(positions: Mapping[str, object]) -> dict[str, str]:
    """Validate names and positions.

    :param positions: name to position; booleans and numbers are converted to text.
    :return: the same, every position as text.
    :raises SwitchError: an unknown switch or position; the message lists the valid ones.
    """
    result: dict[str, str] = {}
    for name, raw in positions.items():
        switch = SWITCHES.get(name)
        if switch is None:
            raise SwitchError(f"unknown switch {name!r}; the switches are {', '.join(sorted(SWITCHES))}")
        value = str(raw).lower() if isinstance(raw, bool) else "null" if raw is None else str(raw)
        if switch.values and value not in switch.values:
            raise SwitchError(f"switch {name} must be one of {', '.join(switch.values)}, not {value!r}")
        if not switch.values:
            _check_number(name, value, switch.minimum)
        result[name] = value
    return result


def _check_number(name: str, value: str, minimum: float) -> None:
    try:
        valid = minimum <= float(value) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise SwitchError(f"switch {name} must be a number from {minimum:g}, not {value!r}")
