"""No log, exception or repr of the hook contains the key or personal data, whatever happens."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.sandbox.process import SandboxProcess

PERSONAL = {
    "customer_name": "Wilhelmina Ostrander",
    "customer_email": "w.ostrander@mail.example",
    "customer_phone": "+4915550172839",
    "comment": "leave it with Quentin next door",
    "title": "insulin pump for Wilhelmina",
}
SECRETS = (*PERSONAL.values(), "Ostrander", "15550172839", "Quentin")
FAULTS = (None, "429", "500", "503", "html", "truncated", "empty", "reset_before", "reset_after", "partial")

AssertNoLeak = Callable[..., None]


@pytest.fixture
def assert_no_leak(
    sandbox: SandboxProcess, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[AssertNoLeak]:
    """Check texts for secrets, and at the end everything that was logged, down to DEBUG, or printed."""
    caplog.set_level(logging.DEBUG)
    forbidden = (*SECRETS, sandbox.api_key)

    def check(*texts: object) -> None:
        for text in texts:
            for secret in forbidden:
                assert secret not in str(text)
                assert secret not in repr(text)

    yield check
    printed = capfd.readouterr()
    records = caplog.get_records("call")
    check(printed.out, printed.err, *(vars(record) | {"message": record.getMessage()} for record in records))
    assert records


def of(number: str, **more: object) -> dict[str, object]:
    return {"carrier_code": "usps", "tracking_number": number, **PERSONAL, **more}


@pytest.fixture
def single_attempt_connection(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection with one attempt per call, so that each fault surfaces."""
    extra = {"pacing": "memory", "max_attempts": 1, "requests_per_second": 500, "cool_down_seconds": 0.15}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_ONCE", json.dumps(sandbox.connection | {"extra": extra}))


USES: dict[str, Callable[[TrackingMoreHook], object]] = {
    "create_tracking": lambda hook: hook.create_tracking(of("SBX-STUCK-2")),
    "create_trackings": lambda hook: hook.create_trackings(
        [of("SBX-STUCK-3"), of("SBX-STUCK-3"), of("SBX-REJECT-4014-1"), of(""), of("N1", title=[PERSONAL])]
    ),
    "get_tracking": lambda hook: hook.get_tracking("usps", "SBX-DELIVERED-2D-1"),
    "list_trackings": lambda hook: list(hook.list_trackings()),
    "find_trackings": lambda hook: hook.find_trackings([of("SBX-STUCK-1"), of("SBX-DELIVERED-2D-1")]),
    "update_tracking": lambda hook: hook.update_tracking("usps", "SBX-STUCK-1", **PERSONAL | {"comment": None}),
    "update_trackings": lambda hook: hook.update_trackings(
        [of("SBX-STUCK-1"), of("NOT-THERE-1"), of("", nick="W. O.")]
    ),
    "realtime_tracking": lambda hook: hook.realtime_tracking(of("SBX-STUCK-1")),
    "get_account": lambda hook: hook.get_account(),
    "test_connection": lambda hook: hook.test_connection(),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("single_attempt_connection")
def test_no_call_leaks_the_key_or_personal_data(
    assert_no_leak: AssertNoLeak, sandbox: SandboxProcess, fault: str | None
) -> None:
    sandbox.seed(
        shipments=[of("SBX-STUCK-1", age_hours=100), of("SBX-DELIVERED-2D-1", age_hours=300)],
    )
    with TrackingMoreHook("trackingmore_once") as hook:
        for use in USES.values():
            if fault:
                sandbox.fault(fault)
            try:
                result = use(hook)
            except Exception as error:
                texts = [error, *traceback.format_exception(error), getattr(error, "report", None)]
                assert_no_leak(*texts)
            else:
                assert_no_leak(result)
                assert_no_leak(getattr(result, "as_dict", lambda: "")())
            sandbox.clear_faults()
        assert_no_leak(hook, hook.get_conn(), hook.get_conn().settings, vars(hook))


def test_an_account_shows_neither_email_nor_phone(assert_no_leak: AssertNoLeak, hook: TrackingMoreHook) -> None:
    account = hook.get_account()
    assert account.email == "account-0@sandbox.example"
    assert account.phone is not None
    for text in (repr(account), str(account), hook.test_connection()[1]):
        assert "account-0" not in text
        assert account.phone not in text
    assert_no_leak(account)


def test_personal_data_is_returned_on_request(hook: TrackingMoreHook, sandbox: SandboxProcess) -> None:
    sandbox.seed(shipments=[of("SBX-STUCK-1")])
    tracking = hook.get_tracking("usps", "SBX-STUCK-1")
    assert tracking.customer_name == PERSONAL["customer_name"]
    assert tracking.customer_emails == (PERSONAL["customer_email"],)
    assert tracking.customer_phone == PERSONAL["customer_phone"]
    assert tracking.comment == PERSONAL["comment"]
