"""Which failure has which exit code, and what it says."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.api.shipments import shipment_key
from airflow_provider_trackingmore.cli.exits import (
    MEANINGS,
    CommandError,
    Exit,
    exit_code,
    explain,
    printable,
    reworded,
)
from airflow_provider_trackingmore.client.settings import InvalidSettingsError

CODES = {
    errors.InvalidArgumentError: Exit.USAGE,
    errors.ConnectError: Exit.SERVICE,
    errors.TLSError: Exit.SERVICE,
    errors.RateLimitLockedError: Exit.SERVICE,
    errors.ResponseLostError: Exit.SERVICE,
    errors.TransportError: Exit.SERVICE,
    errors.ResponseTooLargeError: Exit.SERVICE,
    errors.MalformedResponseError: Exit.SERVICE,
    errors.RateLimitError: Exit.SERVICE,
    errors.ServiceUnavailableError: Exit.SERVICE,
    errors.ServerError: Exit.SERVICE,
    errors.AuthenticationError: Exit.ACCOUNT,
    InvalidSettingsError: Exit.ACCOUNT,
    errors.QuotaExceededError: Exit.QUOTA,
    errors.ApiError: Exit.REFUSED,
    errors.InvalidRequestError: Exit.REFUSED,
    errors.TrackingExistsError: Exit.REFUSED,
    errors.TrackingNotFoundError: Exit.REFUSED,
    errors.ActivationRequiredError: Exit.REFUSED,
    errors.BatchTooLargeError: Exit.REFUSED,
    errors.CarrierNotDetectedError: Exit.REFUSED,
}


@pytest.mark.parametrize("kind", CODES)
def test_every_error_has_the_code_that_the_help_promises(kind: type[errors.TrackingMoreError]) -> None:
    assert exit_code(kind("it failed")) is CODES[kind]


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_refusal_by_a_proxy_says_nothing_about_the_account(status: int) -> None:
    cls = errors.status_class(status)
    assert exit_code(cls("HTML", code=status, http_status=status)) is Exit.SERVICE
    assert exit_code(cls("in the envelope", code=status, http_status=200, from_api=True)) is not Exit.SERVICE


def test_no_error_is_forgotten() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TrackingMoreError) and kind is not errors.TrackingMoreError
    }
    assert kinds <= set(CODES)


def test_what_is_no_error_of_ours_is_a_bug() -> None:
    assert exit_code(ZeroDivisionError("division by zero")) is Exit.BUG
    assert (
        explain(ZeroDivisionError("division by zero"), "")
        == "unexpected ZeroDivisionError: division by zero; --debug shows where"
    )


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)


def test_a_bad_key_is_sought_where_it_came_from() -> None:
    refused = errors.AuthenticationError(f"4001: {errors.HINTS[errors.AuthenticationError]}")
    assert explain(refused, "TRACKINGMORE_API_KEY") == "4001: check the API key in TRACKINGMORE_API_KEY"


@pytest.mark.parametrize(
    ("shipment", "said"),
    [
        ({"tracking_number": "A1"}, "carrier_code is missing: the commands carriers and detect know the codes"),
        ({"tracking_number": "A1", "carrier_code": "a b"}, "'china-post': the command carriers lists them"),
    ],
)
def test_ways_out_are_those_of_a_command_line(shipment: dict[str, str], said: str) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        shipment_key(shipment)
    assert said in reworded(caught.value.message)
    assert said in explain(caught.value, "")


def test_a_message_is_one_line_and_does_not_steer_the_terminal() -> None:
    assert explain(CommandError("bad\x1b[31m\nnews\u2028\x9b", Exit.USAGE), "") == "bad [31m news  "
    assert printable("größe 包裹 📦") == "größe 包裹 📦"
