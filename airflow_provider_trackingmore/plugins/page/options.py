"""The options of the page, in the section ``[trackingmore]`` of Airflow's configuration."""

from __future__ import annotations

from airflow.configuration import conf

SECTION = "trackingmore"


def shows_event_texts() -> bool:
    """Tell whether the page shows the carriers' texts: ``page_event_texts`` is not ``drop``."""
    return conf.get(SECTION, "page_event_texts", fallback="keep").strip().lower() != "drop"


def sql_conn_id() -> str:
    """Return the connection of the database with the load tables, ``page_sql_conn_id``; empty for none."""
    return conf.get(SECTION, "page_sql_conn_id", fallback="").strip()


def sql_schema() -> str | None:
    """Return the schema of the load tables, ``page_sql_schema``; None for the connection's default."""
    return conf.get(SECTION, "page_sql_schema", fallback="").strip() or None
