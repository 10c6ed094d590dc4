"""Exit codes and messages of errors."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.api.shipments import shipment_key
from airflow_provider_trackingmore.cli.exit_codes import MEANINGS, CommandError, ExitCode, exit_code
from airflow_provider_trackingmore.cli.messages import explain, printable, with_hint
from airflow_provider_trackingmore.loading.state import LoadStateError
from airflow_provider_trackingmore.transfers.files.errors import LoadConflictError
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError

CODES = {
    errors.InvalidArgumentError: ExitCode.USAGE,
    errors.ConnectError: ExitCode.SERVICE,
    errors.TLSError: ExitCode.SERVICE,
    errors.RateLimitLockedError: ExitCode.SERVICE,
    errors.ResponseLostError: ExitCode.SERVICE,
    errors.TransportError: ExitCode.SERVICE,
    errors.ResponseTooLargeError: ExitCode.SERVICE,
    errors.MalformedResponseError: ExitCode.SERVICE,
    errors.RateLimitError: ExitCode.SERVICE,
    errors.ServiceUnavailableError: ExitCode.SERVICE,
    errors.ServerError: ExitCode.SERVICE,
    errors.AuthenticationError: ExitCode.ACCOUNT,
    InvalidSettingsError: ExitCode.ACCOUNT,
    errors.QuotaExceededError: ExitCode.QUOTA,
    errors.ApiError: ExitCode.REFUSED,
    errors.InvalidRequestError: ExitCode.REFUSED,
    errors.TrackingExistsError: ExitCode.REFUSED,
    errors.TrackingNotFoundError: ExitCode.REFUSED,
    errors.ActivationRequiredError: ExitCode.REFUSED,
    errors.BatchTooLargeError: ExitCode.REFUSED,
    errors.CarrierNotDetectedError: ExitCode.REFUSED,
}


@pytest.mark.parametrize("kind", CODES)
def test_every_error_has_its_exit_code(kind: type[errors.TrackingMoreError]) -> None:
    assert exit_code(kind("it failed")) is CODES[kind]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LoadDatabaseError("writing failed"), ExitCode.SERVICE),
        (LoadConflictError("another load was faster"), ExitCode.SERVICE),
        (LoadStateError("it is damaged"), ExitCode.USAGE),
    ],
)
def test_errors_of_loads_have_exit_codes(error: errors.TrackingMoreError, code: ExitCode) -> None:
    assert exit_code(error) is code


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_refusal_by_a_proxy_is_a_failure_of_the_service(status: int) -> None:
    cls = errors.status_class(status)
    assert exit_code(cls("HTML", code=status, http_status=status)) is ExitCode.SERVICE
    assert exit_code(cls("in the envelope", code=status, http_status=200, from_api=True)) is not ExitCode.SERVICE


def test_every_error_class_is_tested() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TrackingMoreError) and kind is not errors.TrackingMoreError
    }
    assert kinds <= set(CODES)


def test_any_other_exception_is_a_bug() -> None:
    assert exit_code(ZeroDivisionError("division by zero")) is ExitCode.BUG
    assert (
        explain(ZeroDivisionError("division by zero"), "")
        == "unexpected ZeroDivisionError: division by zero; --debug shows a traceback"
    )


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_a_rejected_key_names_its_source() -> None:
    refused = errors.AuthenticationError("4001", hint=errors.Hint.CHECK_API_KEY)
    assert explain(refused, "TRACKINGMORE_API_KEY") == "4001: check the API key in TRACKINGMORE_API_KEY"


@pytest.mark.parametrize(
    ("shipment", "said"),
    [
        (
            {"tracking_number": "A1"},
            "carrier_code is missing (tracking_number A1): find the code with the commands carriers and detect",
        ),
        (
            {"tracking_number": "A1", "carrier_code": "a b"},
            "'china-post' (tracking_number A1): find the code with the commands carriers and detect",
        ),
    ],
)
def test_hints_name_commands_instead_of_operators(shipment: dict[str, str], said: str) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        shipment_key(shipment)
    assert said in with_hint(caught.value)
    assert said in explain(caught.value, "")


def test_a_message_is_one_line_without_control_characters() -> None:
    assert explain(CommandError("bad\x1b[31m\nnews\u2028\x9b", ExitCode.USAGE), "") == "bad [31m news  "
    assert printable("größe 包裹 📦") == "größe 包裹 📦"


@pytest.mark.parametrize(
    ("key_source", "said"),
    [
        ("TRACKINGMORE_API_KEY", "Does TRACKINGMORE_BASE_URL end in /v2?"),
        ("connection 'mine'", "Does the host of connection 'mine' end in /v2?"),
    ],
)
def test_a_404_that_is_not_the_apis_points_at_the_base_url(key_source: str, said: str) -> None:
    html = errors.ApiError("GET /trackings/get: HTTP 404", http_status=404)
    assert explain(html, key_source) == f"GET /trackings/get: HTTP 404. {said}"
    not_found = errors.TrackingNotFoundError("4031", code=4031, http_status=404, from_api=True)
    assert explain(not_found, key_source) == "4031"
