"""Write the description of the loaded tables, and their picture, from the schema: ``python docs/data_model.py``."""

from __future__ import annotations

from html import escape
from pathlib import Path

from airflow_provider_trackingmore.loading.schema import TABLES, Column, ColumnType, Table

TYPES = {
    ColumnType.KEY: "text",
    ColumnType.TEXT: "text",
    ColumnType.UTC: "UTC time",
    ColumnType.LOCAL: "local time",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.TEXTS: "list of texts",
}
ROW = 20
WIDTH = 300
GAP = 90


def files() -> dict[str, str]:
    """Return what is to be written: path below ``docs`` -> text."""
    return {"data-model-tables.txt": "\n".join(map(_markdown, TABLES)), "images/data-model.svg": _picture()}


def _markdown(table: Table) -> str:
    rows = [f"| `{column.name}` | {_type(column, table)} | {column.doc} |" for column in table.columns]
    return "\n".join([f"### {table.name}\n", "| Column | Type | Content |", "|---|---|---|", *rows, ""])


def _type(column: Column, table: Table) -> str:
    if column.name in table.key:
        return f"{TYPES[column.type]}, key"
    return TYPES[column.type] if column.is_required else f"{TYPES[column.type]} or null"


def _picture() -> str:
    """Draw the tables side by side, with lines between the shipment's key in each."""
    height = max(len(table.columns) for table in TABLES) * ROW + 60
    width = len(TABLES) * WIDTH + (len(TABLES) - 1) * GAP + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12" role="img" aria-label="Each shipment has many events and many status changes">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, table in enumerate(TABLES):
        parts += _box(table, 20 + index * (WIDTH + GAP))
    for index in range(1, len(TABLES)):
        parts += _relation(index)
    return "\n".join([*parts, "</svg>\n"])


def _box(table: Table, left: int) -> list[str]:
    height = len(table.columns) * ROW + 34
    parts = [
        f'<rect x="{left}" y="15" width="{WIDTH}" height="{height}" rx="4" fill="#f7f9fc" stroke="#44546a"/>',
        f'<rect x="{left}" y="15" width="{WIDTH}" height="28" rx="4" fill="#44546a"/>',
        f'<text x="{left + 10}" y="34" fill="#ffffff" font-weight="bold">{table.name}</text>',
    ]
    for number, column in enumerate(table.columns):
        y = 60 + number * ROW
        weight = ' font-weight="bold"' if column.name in table.key else ""
        parts.append(f'<text x="{left + 10}" y="{y}" fill="#1a1a1a"{weight}>{escape(column.name)}</text>')
        parts.append(
            f'<text x="{left + WIDTH - 10}" y="{y}" fill="#5a6677" text-anchor="end">{TYPES[column.type]}</text>'
        )
    return parts


def _relation(index: int) -> list[str]:
    """Draw "one to many" from the first table to another one, below the boxes that it passes."""
    y = 76
    end = 20 + index * (WIDTH + GAP)
    if index == 1:
        line = f"M {20 + WIDTH} {y} H {end}"
    else:
        passed = max(len(table.columns) for table in TABLES[1:index]) * ROW + 70
        line = f"M {20 + WIDTH} {y + 20} h 25 V {passed} H {end - 25} V {y} h 25"
    return [
        f'<path d="{line}" fill="none" stroke="#44546a"/>',
        f'<text x="{20 + WIDTH + 6}" y="{y - 6 + 20 * (index - 1)}" fill="#44546a">1</text>',
        f'<text x="{end - 8}" y="{y - 6}" fill="#44546a" text-anchor="end">n</text>',
    ]


if __name__ == "__main__":
    for name, text in files().items():
        (Path(__file__).parent / name).write_text(text, encoding="utf-8")
