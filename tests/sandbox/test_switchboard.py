"""The table of switches itself: defaults, wrong positions, the way back."""

from __future__ import annotations

import pytest

from airflow_provider_trackingmore.sandbox.steering import SandboxError
from airflow_provider_trackingmore.sandbox.switches import SWITCHES, Switchboard, SwitchError


def test_every_default_is_a_position_and_every_switch_names_its_source():
    assert Switchboard().positions == {name: switch.default for name, switch in SWITCHES.items()}
    assert all(switch.says and switch.source for switch in SWITCHES.values())
    assert all(switch.default in switch.values for switch in SWITCHES.values() if switch.values)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"tz": "+01:00"}, "one of"), ({"nonsense": "1"}, "no switch"), ({"batch_max": "0"}, "number from 1")],
)
def test_a_wrong_position_changes_nothing_and_says_what_there_is(sandbox, wrong, says):
    with pytest.raises(SandboxError, match=says):
        sandbox.switch(created_code="200", **wrong)
    with pytest.raises(SwitchError):
        Switchboard(wrong)
    assert sandbox.order("GET", "/switches")["created_code"]["position"] == "201"


def test_a_reset_sets_the_switches_back(sandbox):
    sandbox.switch(created_code=200, total_as_string=False)
    sandbox.reset()
    switches = sandbox.order("GET", "/switches")
    assert (switches["created_code"]["position"], switches["total_as_string"]["position"]) == ("201", "true")
