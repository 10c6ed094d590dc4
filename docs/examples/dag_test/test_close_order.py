"""The whole DAG, with its templates, its XComs and its deferral."""

import pytest
from dags.close_order import dag


@pytest.mark.parametrize(
    ("tracking_number", "expected"),
    [("SBX-DELIVERED-1D-x", "closed"), ("SBX-EXCEPTION-1D-x", "claimed")],
)
def test_the_order_is_settled(fast_sandbox, monkeypatch, tracking_number, expected):
    monkeypatch.setattr(dag.get_task("wait"), "poke_interval", 0.5)

    run = dag.test(run_conf={"carrier_code": "dhl", "tracking_number": tracking_number})

    assert run.state == "success"
    settle = run.get_task_instance("settle")
    assert settle.xcom_pull(task_ids="settle") == expected
    assert fast_sandbox.ledger()["created"] == {f"dhl/{tracking_number}": 1}
