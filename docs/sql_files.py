"""Writes the queries in ``docs/sql`` from the package's own: ``python -m docs.sql_files``. A test compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_provider_trackingmore.loading.schema import STATUS_CHANGES, TABLES, Column, ColumnType, Table
from airflow_provider_trackingmore.loading.views import ON_TIME, view_queries
from airflow_provider_trackingmore.transfers.files import views
from airflow_provider_trackingmore.transfers.files.tables import FILE_TABLES

FOLDER = Path(__file__).parent / "sql"
ENGINES = (views.DUCKDB, views.SNOWFLAKE, views.BIGQUERY, views.TRINO)

_FILES = """\
-- The rows of all files that a manifest names, as views. Files that no manifest names do not count.
-- Set the folder first, and run this again after each load:
--     SET VARIABLE lake = 's3://my-bucket/trackings';
CREATE OR REPLACE TEMPORARY TABLE manifest_files AS
SELECT file."table" AS table_name, getvariable('lake') || '/' || file.path AS path
FROM (
    SELECT unnest(files) AS file
    FROM read_json(
        getvariable('lake') || '/_manifests/*/*.json',
        columns = {files: 'STRUCT("table" VARCHAR, path VARCHAR)[]'}
    )
);
"""

_ROWS = """
SET VARIABLE {name} = (SELECT list(path) FROM manifest_files WHERE table_name = '{table}');
CREATE OR REPLACE TEMPORARY VIEW {name} AS
SELECT * FROM {read}(
    getvariable('{name}'),
    {options}
);
"""

_MERGES = """\
-- Brings the views trackings, tracking_events and tracking_status_changes into tables of the schema warehouse.
"""
_DIFFERS = (
    "(COALESCE(t.substatus, '') <> COALESCE(s.substatus, '')\n"
    "    OR COALESCE(t.description, '') <> COALESCE(s.description, '')\n"
    "    OR (t.superseded_at IS NULL) <> (s.superseded_at IS NULL) OR t.superseded_at <> s.superseded_at)"
)

_ROW_TABLES = "-- Tables for the rows of the files.\n"
_ROW_TYPES = {
    "snowflake": {
        ColumnType.TEXT: "VARCHAR",
        ColumnType.UTC: "TIMESTAMP_NTZ",
        ColumnType.LOCAL: "TIMESTAMP_NTZ",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.TEXTS: "ARRAY",
    },
    "bigquery": {
        ColumnType.TEXT: "STRING",
        ColumnType.UTC: "TIMESTAMP",
        ColumnType.LOCAL: "DATETIME",
        ColumnType.BOOLEAN: "BOOL",
        ColumnType.TEXTS: "ARRAY<STRING>",
    },
}

_DUCKDB_TYPES = {
    ColumnType.UTC: "TIMESTAMPTZ",
    ColumnType.LOCAL: "TIMESTAMP",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TEXTS: "VARCHAR[]",
}


def sql_files() -> Iterator[tuple[str, str]]:
    """Write the files.

    :return: the path of each below ``docs/sql``, and its content.
    """
    for suffix, read in (("parquet", "read_parquet"), ("ndjson", "read_json")):
        rows = [
            _ROWS.format(
                name=views.ROWS[table.name],
                read=read,
                table=table.name,
                options=_ndjson_options(table)
                if suffix == "ndjson"
                else "hive_partitioning = true, union_by_name = true",
            )
            for table in FILE_TABLES.values()
        ]
        yield f"duckdb/files-{suffix}.sql", _FILES + "".join(rows)
    yield "merge.sql", _MERGES + "".join(_merge(table) for table in TABLES)
    for engine, types in _ROW_TYPES.items():
        yield f"{engine}/rows.sql", _ROW_TABLES + "".join(_create_rows(table, types) for table in FILE_TABLES.values())
    for dialect in ENGINES:
        folder, rows_of = dialect.name.lower(), ", ".join(views.ROWS.values())
        yield (
            f"{folder}/tables.sql",
            f"-- {dialect.name}: the tables, from the rows of the files ({rows_of}).\n"
            + _create_views(views.lake_queries(dialect)),
        )
        queries = view_queries(dialect.view, {name: name for name in views.ROWS}, "promised_dates")
        on_time = {ON_TIME: queries.pop(ON_TIME)}
        yield f"{folder}/views.sql", f"-- {dialect.name}: views over the tables.\n{_create_views(queries)}"
        yield (
            f"{folder}/on_time.sql",
            f"-- {dialect.name}: needs your table promised_dates, with order_id and promised_at.\n"
            + _create_views(on_time),
        )


def _merge(table: Table) -> str:
    is_key = " AND ".join(f"t.{name} = s.{name}" for name in table.key)
    others = [name for name in table.names if name not in table.key]
    differs = "t.changed_at <> s.changed_at" if "changed_at" in others else _DIFFERS
    update = f"WHEN MATCHED AND {differs} THEN UPDATE SET\n    {_join(f'{name} = s.{name}' for name in others)}\n"
    return (
        f"\nMERGE INTO warehouse.{table.name} t\nUSING {table.name} s\nON {is_key}\n"
        f"{'' if table is STATUS_CHANGES else update}"
        f"WHEN NOT MATCHED THEN INSERT (\n    {_join(table.names)}\n) VALUES (\n"
        f"    {_join(f's.{name}' for name in table.names)}\n);\n"
    )


def _create_rows(table: Table, types: dict[ColumnType, str]) -> str:
    text = types[ColumnType.TEXT]
    columns = _join(f"{column.name} {types.get(column.type, text)}" for column in table.columns)
    return f"\nCREATE TABLE IF NOT EXISTS {views.ROWS[table.name]} (\n    {columns}\n);\n"


def _join(texts: Iterable[str]) -> str:
    return ",\n    ".join(texts)


def _create_views(queries: dict[str, str]) -> str:
    return "\n".join(f"CREATE OR REPLACE VIEW {name} AS\n{query};\n" for name, query in queries.items())


def _ndjson_options(table: Table) -> str:
    columns = ",\n        ".join(f"{column.name}: '{_duckdb_type(column)}'" for column in table.columns)
    return f"hive_partitioning = true, format = 'newline_delimited', columns = {{\n        {columns}\n    }}"


def _duckdb_type(column: Column) -> str:
    return _DUCKDB_TYPES.get(column.type, "VARCHAR")


if __name__ == "__main__":
    for path, content in sql_files():
        file = FOLDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
