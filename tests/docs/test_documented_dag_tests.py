"""The tests on the page about testing DAGs, run unchanged."""

# [example begins]
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from docs.examples.create_trackings import dag as registering
from docs.examples.shipment_status import dag as waiting

SECOND = {"carrier_code": "ups", "tracking_number": "SBX-DELIVERED-2D-SECOND"}


def test_the_order_is_closed_when_its_parcel_is_there(trackingmore_sandbox):
    TrackingMoreHook().create_tracking(SECOND)
    wait, branch = waiting.get_task("wait"), waiting.get_task("what_happened")

    assert not wait.poke({}).is_done

    trackingmore_sandbox.advance(days=2)
    outcomes = wait.poke({}).xcom_value
    assert outcomes[0]["outcome"] == "delivered"
    assert branch.python_callable(outcomes) == "close_order"


def test_registering_again_costs_nothing_even_if_a_response_is_lost(trackingmore_sandbox):
    register = registering.get_task("register")
    trackingmore_sandbox.fault("reset_after", path="/trackings/batch")  # applied, but the response never arrives

    register.execute({})
    again = register.execute({})

    assert len(again["existing"]) == 2
    assert again["rejected"][0]["carrier_code"] == "dhll"
    assert trackingmore_sandbox.ledger()["created"] == {
        "dhl/SBX-DELIVERED-1D-FIRST": 1,
        "ups/SBX-DELIVERED-2D-SECOND": 1,
    }


# [example ends]
