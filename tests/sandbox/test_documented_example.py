"""The example of docs/sandbox.md, which includes this file."""

import os

import requests


# [example begins]
def test_a_parcel_is_delivered_although_an_answer_is_lost(trackingmore_sandbox):
    sandbox = trackingmore_sandbox
    assert "AIRFLOW_CONN_TRACKINGMORE_DEFAULT" in os.environ  # hooks, operators and DAGs find the sandbox
    headers = {"Trackingmore-Api-Key": sandbox.api_key}
    parcel = {"tracking_number": "SBX-DELIVERED-3D-mug", "carrier_code": "usps"}

    sandbox.fault("reset_after", method="POST")  # applied, but the answer never arrives
    try:
        requests.post(sandbox.base_url + "/trackings/post", json=parcel, headers=headers, timeout=60)
    except requests.ConnectionError:
        again = requests.post(sandbox.base_url + "/trackings/post", json=parcel, headers=headers, timeout=60)
        assert again.json()["meta"]["code"] == 4016  # it was there already

    sandbox.advance(days=3)
    found = requests.get(sandbox.base_url + "/trackings/usps/SBX-DELIVERED-3D-mug", headers=headers, timeout=60)
    assert found.json()["data"]["status"] == "delivered"
    assert sandbox.ledger()["created"] == {"usps/SBX-DELIVERED-3D-mug": 1}
    assert [call["fault"] for call in sandbox.calls("POST")] == ["reset_after", None]


# [example ends]
