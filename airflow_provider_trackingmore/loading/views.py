"""The queries of the views on the loaded tables, for databases and for files in a lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_trackingmore.loading.schema import EVENTS, TRACKINGS

LANE_TRANSIT: Final = "shipment_lane_transit"
SCORECARD: Final = "carrier_scorecard"
STUCK: Final = "stuck_shipments"
ON_TIME: Final = "on_time"

STUCK_DAYS = 7
"""Days without an event after which ``stuck_shipments`` shows a shipment."""


@dataclass(frozen=True, slots=True)
class ViewDialect:
    """The SQL of a database for what the queries need; ``{0}`` and ``{1}`` are expressions.

    :param name: the database.
    :param days: the number of days from ``{0}`` to ``{1}``, both without time zone.
    :param day: the date of ``{0}``.
    :param text: ``{0}`` as text that can be compared with ``order_id``.
    :param utc: a column of type ``utc`` in UTC, without time zone.
    """

    name: str
    days: str
    day: str
    text: str
    utc: str = "{0}"


POSTGRESQL = ViewDialect(
    "PostgreSQL",
    days="(EXTRACT(EPOCH FROM ({1} - {0})) / 86400.0)",
    day="CAST({0} AS DATE)",
    text="CAST({0} AS TEXT)",
    utc="({0} AT TIME ZONE 'UTC')",
)
SQLITE = ViewDialect(
    "SQLite", days="(JULIANDAY({1}) - JULIANDAY({0}))", day="DATE({0})", text="CAST({0} AS TEXT)"
)  # fmt: skip
MYSQL = ViewDialect(
    "MySQL",
    days="(TIMESTAMPDIFF(SECOND, {0}, {1}) / 86400.0)",
    day="DATE({0})",
    text="CONVERT({0} USING utf8mb4) COLLATE utf8mb4_bin",
)
DUCKDB = ViewDialect(
    "DuckDB",
    days="(DATE_DIFF('second', CAST({0} AS TIMESTAMP), CAST({1} AS TIMESTAMP)) / 86400.0)",
    day="CAST({0} AS DATE)",
    text="CAST({0} AS VARCHAR)",
)

_LANE = "account, carrier_code, origin_country, destination_country, clock"


def view_queries(dialect: ViewDialect, tables: Mapping[str, str], promised_table: str | None = None) -> dict[str, str]:
    """Build the queries of the views.

    :param dialect: the database.
    :param tables: ``trackings`` and ``tracking_events`` -> their quoted names in the database.
    :param promised_table: the quoted name of the user's table with ``order_id`` and ``promised_at``; None for none.
    :return: the name of each view -> its query.
    """
    trackings, events = tables[TRACKINGS.name], tables[EVENTS.name]
    queries = {
        LANE_TRANSIT: _lane_transit(dialect, trackings),
        SCORECARD: _scorecard(dialect, trackings, events),
        STUCK: _stuck(dialect, trackings),
    }
    if promised_table is not None:
        queries[ON_TIME] = _on_time(dialect, trackings, promised_table)
    return queries


def _rank(value: str, percent: int) -> str:
    """Select a percentile by the nearest-rank method: the smallest value with so large a share up to it."""
    return f"MIN(CASE WHEN value_rank * 100 >= value_count * {percent} THEN {value} END)"


def _lane_transit(dialect: ViewDialect, trackings: str) -> str:
    def durations(clock: str, end: str) -> str:
        return f"""\
    SELECT account, carrier_code, origin_country, destination_country, '{clock}' AS clock,
           {dialect.days.format("first_event_at", end)} AS days
    FROM {trackings}
    WHERE {end} >= first_event_at"""

    return f"""\
WITH durations AS (
{durations("first_attempt", "first_attempt_at_local")}
    UNION ALL
{durations("delivery", "delivered_at_local")}
), ranked AS (
    SELECT {_LANE}, days,
           ROW_NUMBER() OVER (PARTITION BY {_LANE} ORDER BY days) AS value_rank,
           COUNT(*) OVER (PARTITION BY {_LANE}) AS value_count
    FROM durations
)
SELECT {_LANE}, COUNT(*) AS measured,
       {_rank("days", 10)} AS p10_days,
       {_rank("days", 50)} AS p50_days,
       {_rank("days", 90)} AS p90_days
FROM ranked
GROUP BY {_LANE}"""


def _scorecard(dialect: ViewDialect, trackings: str, events: str) -> str:
    def share(condition: str, of: str = "COUNT(*)") -> str:
        return f"SUM(CASE WHEN {condition} THEN 1.0 ELSE 0.0 END) / {of}"

    delivered = "status = 'delivered'"
    measurable = f"{delivered} AND delivered_at_local >= first_event_at"
    return f"""\
WITH trouble AS (
    SELECT account, carrier_code, tracking_number,
           MAX(CASE WHEN status = 'exception' THEN 1 ELSE 0 END) AS had_exception,
           MAX(CASE WHEN status = 'undelivered' THEN 1 ELSE 0 END) AS had_failed_attempt
    FROM {events}
    WHERE superseded_at IS NULL AND status IN ('exception', 'undelivered')
    GROUP BY account, carrier_code, tracking_number
), shipments AS (
    SELECT t.account, t.carrier_code, t.status, t.first_event_at, t.delivered_at_local,
           CASE WHEN t.status = 'exception' THEN 1 ELSE COALESCE(e.had_exception, 0) END AS had_exception,
           CASE WHEN t.status = 'undelivered' THEN 1 ELSE COALESCE(e.had_failed_attempt, 0) END AS had_failed_attempt,
           {dialect.days.format(dialect.utc.format("t.created_at"), "t.first_event_at")} AS days_to_first_scan
    FROM {trackings} t
    LEFT JOIN trouble e ON e.account = t.account AND e.carrier_code = t.carrier_code
        AND e.tracking_number = t.tracking_number
), ranked AS (
    SELECT shipments.*,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code
               ORDER BY CASE WHEN days_to_first_scan IS NULL THEN 1 ELSE 0 END, days_to_first_scan) AS value_rank,
           COUNT(days_to_first_scan) OVER (PARTITION BY account, carrier_code) AS value_count
    FROM shipments
)
SELECT account, carrier_code,
       COUNT(*) AS shipments,
       SUM(CASE WHEN {delivered} THEN 1 ELSE 0 END) AS delivered,
       {share(delivered)} AS delivered_rate,
       {share("had_exception = 1")} AS exception_rate,
       {share("had_failed_attempt = 1")} AS failed_attempt_rate,
       {share("status = 'expired'")} AS expired_rate,
       COUNT(days_to_first_scan) AS scanned,
       {_rank("days_to_first_scan", 50)} AS p50_days_registration_to_first_scan,
       {_rank("days_to_first_scan", 90)} AS p90_days_registration_to_first_scan,
       {share(measurable, f"NULLIF(SUM(CASE WHEN {delivered} THEN 1 ELSE 0 END), 0)")} AS measurable_share
FROM ranked
GROUP BY account, carrier_code"""


def _stuck(dialect: ViewDialect, trackings: str) -> str:
    as_of = dialect.utc.format("as_of")
    last_activity = f"COALESCE(last_event_at, {dialect.utc.format('created_at')})"
    days = dialect.days.format(last_activity, as_of)
    return f"""\
WITH dated AS (
    SELECT account, carrier_code, tracking_number, order_id, status, substatus, created_at, last_event_at,
           missing_since, MAX(last_seen_at) OVER (PARTITION BY account) AS as_of
    FROM {trackings}
)
SELECT account, carrier_code, tracking_number, order_id, status, substatus, created_at, last_event_at, as_of,
       {days} AS days_without_event
FROM dated
WHERE status NOT IN ('delivered', 'expired') AND missing_since IS NULL AND {days} >= {STUCK_DAYS}"""


def _on_time(dialect: ViewDialect, trackings: str, promised_table: str) -> str:
    promised = dialect.day.format("p.promised_at")
    attempted, delivered = dialect.day.format("t.first_attempt_at_local"), dialect.day.format("t.delivered_at_local")
    as_of = dialect.day.format(dialect.utc.format("t.as_of"))

    def verdict(day: str) -> str:
        return (
            f"CASE WHEN {day} <= {promised} THEN 'on time' WHEN {day} > {promised} THEN 'late'\n"
            "            WHEN t.status = 'delivered' THEN 'unknown'\n"
            f"            WHEN {as_of} > {promised} THEN 'late' ELSE 'open' END"
        )

    return f"""\
WITH t AS (
    SELECT account, carrier_code, tracking_number, order_id, status, first_attempt_at_local, delivered_at_local,
           MAX(last_seen_at) OVER (PARTITION BY account) AS as_of
    FROM {trackings}
)
SELECT t.account, t.carrier_code, t.tracking_number, t.order_id, t.status, p.promised_at,
       t.first_attempt_at_local, t.delivered_at_local,
       {verdict(attempted)} AS first_attempt,
       {verdict(delivered)} AS delivery
FROM t
JOIN {promised_table} p ON {dialect.text.format("p.order_id")} = t.order_id"""
