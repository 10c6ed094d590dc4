"""Every error says whether a retry can help, and survives pickling."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.api.errors import ApiError, Hint, Retry, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError, LookupInterruptedError, cause_of
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.reports import RegistrationReport, Rejection

RETRY: dict[type[TrackingMoreError], Retry] = {
    TrackingMoreError: Retry.NEVER,
    errors.InvalidArgumentError: Retry.NEVER,
    errors.InvalidSettingsError: Retry.NEVER,
    errors.TransportError: Retry.NEVER,
    errors.ConnectError: Retry.ALWAYS,
    errors.TLSError: Retry.NEVER,
    errors.RateLimitLockedError: Retry.ALWAYS,
    errors.ResponseLostError: Retry.IF_REPEATABLE,
    errors.MalformedResponseError: Retry.IF_REPEATABLE,
    errors.ResponseTooLargeError: Retry.NEVER,
    errors.ApiError: Retry.NEVER,
    errors.AuthenticationError: Retry.NEVER,
    errors.InvalidRequestError: Retry.NEVER,
    errors.TrackingExistsError: Retry.NEVER,
    errors.TrackingNotFoundError: Retry.NEVER,
    errors.ActivationRequiredError: Retry.NEVER,
    errors.QuotaExceededError: Retry.NEVER,
    errors.BatchTooLargeError: Retry.NEVER,
    errors.CarrierNotDetectedError: Retry.NEVER,
    errors.RateLimitError: Retry.ALWAYS,
    errors.ServiceUnavailableError: Retry.ALWAYS,
    errors.ServerError: Retry.IF_REPEATABLE,
}


def subclasses_of(root: type[TrackingMoreError]) -> Iterator[type[TrackingMoreError]]:
    yield root
    for subclass in root.__subclasses__():
        if subclass.__module__ == errors.__name__:
            yield from subclasses_of(subclass)


def test_every_error_class_says_whether_a_retry_can_help() -> None:
    assert {cls: cls.retry for cls in subclasses_of(TrackingMoreError)} == RETRY


def test_no_error_is_one_that_airflow_would_turn_into_a_skip() -> None:
    for cls in RETRY:
        assert {base.__module__ for base in cls.__mro__} <= {errors.__name__, "builtins"}


@pytest.mark.parametrize("cls", RETRY, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_an_error_keeps_everything_when_it_is_copied_or_pickled(cls, duplicate) -> None:
    error = cls("what happened", hint=Hint.TOP_UP, code=4014, http_status=200, retry_after=7.5, from_api=True)
    other = duplicate(error)
    assert type(other) is cls
    assert (other.message, str(other)) == ("what happened", f"what happened: {Hint.TOP_UP}")
    assert (other.code, other.http_status, other.retry_after, other.hint) == (4014, 200, 7.5, Hint.TOP_UP)
    assert other.from_api is True


@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_an_interrupted_job_keeps_its_cause_and_its_result_when_it_is_copied_or_pickled(duplicate) -> None:
    report = RegistrationReport(
        done=(ShipmentKey("ups", "1Z5R89390357567127"),), rejected=(Rejection("ups", "1", 4014, "no"),), duplicates=2
    )
    cause = errors.RateLimitError("too fast", hint=Hint.SHARE_RATE_LIMIT, code=429, retry_after=120.0, from_api=True)
    batch, lookup = (
        duplicate(BatchInterruptedError(cause, report)),
        duplicate(LookupInterruptedError(cause, {"a": 1}, "some failed")),
    )
    assert (batch.report, lookup.found) == (report, {"a": 1})
    assert (batch.message, lookup.message) == ("too fast", "some failed")
    for error in (batch, lookup):
        assert type(error.cause) is errors.RateLimitError
        assert (error.code, error.retry_after, error.hint, error.retry) == (429, 120.0, cause.hint, Retry.ALWAYS)
        assert error.from_api is True
        assert cause_of(error) is error.cause
        assert cause_of(error.cause) is error.cause


def test_a_hint_may_be_in_the_words_of_the_program_at_hand() -> None:
    error = errors.AuthenticationError("no", hint=Hint.CHECK_API_KEY, hint_text="look into your vault")
    assert (error.message, str(error)) == ("no", "no: look into your vault")
    assert str(error.replace(message="never")) == "never: look into your vault"


def test_an_error_without_details_has_none() -> None:
    error = TrackingMoreError("what happened")
    assert (error.code, error.http_status, error.retry_after, error.hint) == (None, None, None, None)
    assert error.from_api is False


def test_a_bad_argument_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="no number"):
        raise errors.InvalidArgumentError("no number")


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (500, errors.ServerError),
        (502, errors.ServerError),
        (504, errors.ServerError),
        (599, errors.ServerError),
        (503, errors.ServiceUnavailableError),
        (429, errors.RateLimitError),
        (418, ApiError),
        (600, ApiError),
        (4099, ApiError),
        (0, ApiError),
        (-1, ApiError),
        (10**30, ApiError),
    ],
)
def test_codes_outside_the_table_have_a_class_as_well(code: int, cls: type[ApiError]) -> None:
    assert errors.error_class(code) is cls
