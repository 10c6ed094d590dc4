"""What all endpoints share: API keys, accounts, paths, unknown pages, the OpenAPI description."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/", "/nonsense", "/trackings", "/trackings/a/b/c/d", "/carriers/"])
def test_an_unknown_page_is_404_in_the_vendors_envelope(caller, path):
    assert caller.get(path) == (404, [])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/trackings/post"), ("PATCH", "/trackings/usps/12345"), ("DELETE", "/carriers")]
)
def test_an_unsupported_method_is_405_in_the_vendors_envelope(caller, method, path):
    assert caller.ask(method, path) == (405, [])


def test_errors_come_with_http_200(caller):
    assert caller.send("GET", "/trackings/usps/UNKNOWN123").status_code == 200
    assert caller.send("GET", "/nonsense").status_code == 200


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_an_unknown_key_is_rejected_first(caller, key):
    caller.key = key
    assert caller.ask("POST", "/trackings/post", data="no json") == (4001, [])


def test_every_key_has_an_account_of_its_own(caller, second, sandbox):
    first = caller.create("NUMBER0001")[1]["id"]
    assert second.get("/trackings/usps/NUMBER0001")[0] == 4031
    assert second.create("NUMBER0001")[1]["id"] != first
    assert [account["trackings"] for account in sandbox.accounts()] == [1, 1]


def test_the_path_may_be_percent_encoded(caller, sandbox):
    sandbox.switch(number_format="any")
    for number in ("A/B ?%41#é", "..", "a,b", "x\\y"):
        assert caller.create(number)[0] == 201
        quoted = "".join(f"%{byte:02X}" for byte in number.encode())
        assert caller.get(f"/trackings/usps/{quoted}")[1]["tracking_number"] == number
        assert caller.ask("DELETE", f"/trackings/usps/{quoted}")[0] == 200


def test_the_sandbox_describes_itself(caller):
    description = caller.session.get(caller.base_url.removesuffix("/v2") + "/_sandbox/openapi.json").json()
    v2 = [
        (method, path) for path, methods in description["paths"].items() for method in methods if path.startswith("/v2")
    ]
    assert len(v2) == 20
    assert ("put", "/v2/trackings/{carrier_code}/{tracking_number}") in v2
