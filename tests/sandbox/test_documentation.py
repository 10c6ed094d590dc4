"""docs/sandbox.md documents every magic number, switch, fault and option."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_trackingmore.sandbox.cli import create_parser
from airflow_provider_trackingmore.sandbox.client import SandboxClient
from airflow_provider_trackingmore.sandbox.faults import KINDS
from airflow_provider_trackingmore.sandbox.journeys import JOURNEYS
from airflow_provider_trackingmore.sandbox.switches import SWITCHES

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


def rows_under(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_every_magic_number_is_in_its_table():
    names = [re.match(r"`SBX-([A-Z]+)", row[0])[1] for row in rows_under("What happens to a parcel")]
    assert names == [*JOURNEYS, "REJECT", "UNDETECTABLE"]


def test_every_switch_is_in_its_table_with_its_positions():
    documented = {row[0].strip("`"): re.findall("`([^`]*)`", row[1]) for row in rows_under("Switches")}
    assert documented == {
        name: [switch.default, *(value for value in switch.values if value != switch.default)]
        for name, switch in SWITCHES.items()
    }


def test_every_fault_is_in_its_table():
    assert {row[0].strip("`"): row[1] for row in rows_under("Faults")} == KINDS


def test_every_option_is_in_the_table():
    options = {
        option for action in create_parser()._actions for option in action.option_strings if option.startswith("--")
    }
    assert options - {"--help"} == set(re.findall(r"`(--[a-z-]+)", PAGE.split("| Option |")[1].split("\n\n")[0]))


def test_every_method_that_is_documented_exists():
    names = set(re.findall(r"`([a-z_]+)\(", PAGE.split("| On the fixture |")[1].split("\n\n")[0]))
    assert len(names) > 10
    assert all(hasattr(SandboxClient, name) for name in names)
