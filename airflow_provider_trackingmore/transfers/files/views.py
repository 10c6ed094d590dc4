"""The queries that turn the appended rows of files into the tables, for engines that read lakes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from airflow_provider_trackingmore.loading import views
from airflow_provider_trackingmore.loading.schema import EVENTS, STATUS_CHANGES, TRACKINGS, Table
from airflow_provider_trackingmore.loading.views import ViewDialect

ROWS: Final = {TRACKINGS.name: "tracking_rows", EVENTS.name: "event_rows", STATUS_CHANGES.name: "status_change_rows"}
"""The name of each table -> the name under which its queries expect the rows of its files."""

_SHIPMENT = "account, carrier_code, tracking_number"
_EVENT = f"{_SHIPMENT}, event_key"
_DERIVED = {"substatus", "first_seen_at", "changed_at", "last_seen_at", "missing_since"}


@dataclass(frozen=True, slots=True)
class LakeDialect:
    """How an engine writes what the queries need.

    :param name: the engine.
    :param view: how it writes the queries that databases have too.
    :param last_known: the last value of ``{0}`` that is not null; ``OVER (…)`` follows.
    :param each_key: a join with the texts of ``event_keys``, in the column ``event_key``.
    :param key: that column.
    """

    name: str
    view: ViewDialect
    last_known: str = "LAST_VALUE({0} IGNORE NULLS)"
    each_key: str = "CROSS JOIN UNNEST(event_keys) AS k(event_key)"
    key: str = "k.event_key"


DUCKDB = LakeDialect("DuckDB", replace(views.DUCKDB, utc="({0} AT TIME ZONE 'UTC')"))
SNOWFLAKE = LakeDialect(
    "Snowflake",
    ViewDialect(
        "Snowflake",
        days="(DATEDIFF(SECOND, {0}, {1}) / 86400.0)",
        day="CAST({0} AS DATE)",
        text="CAST({0} AS VARCHAR)",
    ),
    each_key=", LATERAL FLATTEN(INPUT => event_keys) k",
    key="CAST(k.value AS VARCHAR)",
)
"""Times in UTC are ``TIMESTAMP_NTZ`` there: so ``COPY INTO`` reads them from Parquet."""
BIGQUERY = LakeDialect(
    "BigQuery",
    ViewDialect(
        "BigQuery",
        days="(DATETIME_DIFF({1}, {0}, SECOND) / 86400.0)",
        day="CAST({0} AS DATE)",
        text="CAST({0} AS STRING)",
        utc="DATETIME({0}, 'UTC')",
    ),
    each_key="CROSS JOIN UNNEST(event_keys) AS event_key",
    key="event_key",
)
TRINO = LakeDialect(
    "Trino",
    ViewDialect(
        "Trino",
        days="(DATE_DIFF('second', {0}, {1}) / 86400.0)",
        day="CAST({0} AS DATE)",
        text="CAST({0} AS VARCHAR)",
        utc="CAST({0} AT TIME ZONE 'UTC' AS TIMESTAMP)",
    ),
    last_known="LAST_VALUE({0}) IGNORE NULLS",
)


def lake_queries(dialect: LakeDialect) -> dict[str, str]:
    """Write the queries of the tables over the rows of files.

    :param dialect: the engine.
    :return: the name of each table -> its query, with the columns that it has in a database.
    """
    return {
        TRACKINGS.name: _trackings(dialect),
        EVENTS.name: _events(dialect),
        STATUS_CHANGES.name: _status_changes(),
    }


def _known(dialect: LakeDialect, column: str, partition: str, order: str) -> str:
    return (
        f"{dialect.last_known.format(column)} OVER (PARTITION BY {partition} ORDER BY {order}\n"
        f"               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS {column}"
    )


def _columns(dialect: LakeDialect, table: Table, without: set[str], partition: str, order: str) -> str:
    return ",\n           ".join(
        _known(dialect, column.name, partition, order) if column.keeps_known else column.name
        for column in table.columns
        if column.name not in without
    )


def _trackings(dialect: LakeDialect) -> str:
    answers = "PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at"
    names = ",\n       ".join(
        {"changed_at": "COALESCE(m.missing_since, r.changed_at) AS changed_at", "missing_since": "m.missing_since"}.get(
            name, f"r.{name}"
        )
        for name in TRACKINGS.names
    )
    return f"""\
WITH answers AS (
    SELECT t.*, CASE WHEN LAG(status) OVER ({answers}) = status THEN 0 ELSE 1 END AS is_new_status
    FROM {ROWS[TRACKINGS.name]} t
    WHERE event_keys IS NOT NULL
), numbered AS (
    SELECT answers.*, SUM(is_new_status) OVER ({answers}
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS status_number
    FROM answers
), merged AS (
    SELECT {_columns(dialect, TRACKINGS, _DERIVED, _SHIPMENT, "changed_at")},
           {_known(dialect, "substatus", f"{_SHIPMENT}, status_number", "changed_at")},
           MIN(first_seen_at) OVER (PARTITION BY {_SHIPMENT}) AS first_seen_at,
           changed_at,
           last_seen_at,
           ROW_NUMBER() OVER ({answers} DESC) AS recency
    FROM numbered
), missing AS (
    SELECT {_SHIPMENT}, MAX(missing_since) AS missing_since
    FROM {ROWS[TRACKINGS.name]}
    WHERE event_keys IS NULL
    GROUP BY {_SHIPMENT}
)
SELECT {names}
FROM merged r
LEFT JOIN missing m ON m.account = r.account AND m.carrier_code = r.carrier_code
    AND m.tracking_number = r.tracking_number AND m.missing_since > r.changed_at
WHERE r.recency = 1"""  # noqa: S608 - put together from names


def _events(dialect: LakeDialect) -> str:
    names = ",\n       ".join("l.superseded_at" if name == "superseded_at" else f"e.{name}" for name in EVENTS.names)
    versions = f"PARTITION BY {_EVENT} ORDER BY first_seen_at"
    return f"""\
WITH versions AS (
    SELECT {_columns(dialect, EVENTS, {"first_seen_at", "superseded_at"}, _EVENT, "first_seen_at")},
           MIN(first_seen_at) OVER (PARTITION BY {_EVENT}) AS first_seen_at,
           ROW_NUMBER() OVER ({versions} DESC) AS recency
    FROM {ROWS[EVENTS.name]}
), answers AS (
    SELECT {_SHIPMENT}, changed_at, event_keys,
           LEAD(changed_at) OVER (PARTITION BY {_SHIPMENT} ORDER BY changed_at) AS next_changed_at
    FROM {ROWS[TRACKINGS.name]}
    WHERE event_keys IS NOT NULL
), mentions AS (
    SELECT {_SHIPMENT}, {dialect.key} AS event_key, changed_at, next_changed_at
    FROM answers
    {dialect.each_key}
), last_mentions AS (
    SELECT {_EVENT}, next_changed_at AS superseded_at,
           ROW_NUMBER() OVER (PARTITION BY {_EVENT} ORDER BY changed_at DESC) AS recency
    FROM mentions
)
SELECT {names}
FROM versions e
LEFT JOIN last_mentions l ON l.account = e.account AND l.carrier_code = e.carrier_code
    AND l.tracking_number = e.tracking_number AND l.event_key = e.event_key AND l.recency = 1
WHERE e.recency = 1"""  # noqa: S608 - put together from names


def _status_changes() -> str:
    return f"""\
SELECT DISTINCT {", ".join(STATUS_CHANGES.names)}
FROM {ROWS[STATUS_CHANGES.name]}"""  # noqa: S608 - put together from names
