"""The switches: defaults, invalid positions, reset."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.client import SandboxError
from airflow_provider_trackingmore.sandbox.switches import SWITCHES, SwitchError, SwitchPositions


def test_every_default_is_a_position_and_every_switch_names_its_source():
    assert SwitchPositions().positions == {name: switch.default for name, switch in SWITCHES.items()}
    assert all(switch.description and switch.source for switch in SWITCHES.values())
    assert all(switch.default in switch.values for switch in SWITCHES.values() if switch.values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"tz": "+01:00"}, "one of"), ({"nonsense": "1"}, "unknown switch"), ({"batch_max": "0"}, "number from 1")],
)
def test_an_invalid_position_changes_nothing_and_the_message_lists_the_valid_ones(sandbox, wrong, message):
    with pytest.raises(SandboxError, match=message):
        sandbox.switch(created_code="200", **wrong)
    with pytest.raises(SwitchError):
        SwitchPositions(wrong)
    assert sandbox.request("GET", "/switches")["created_code"]["position"] == "201"


def test_a_reset_restores_the_switches(sandbox):
    sandbox.switch(created_code=200, total_as_string=False)
    sandbox.reset()
    switches = sandbox.request("GET", "/switches")
    assert (switches["created_code"]["position"], switches["total_as_string"]["position"]) == ("201", "true")
