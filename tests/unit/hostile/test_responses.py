"""With any responses, each method of the hook returns a result or raises an error of this package."""

from __future__ import annotations

import contextlib
import json
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.envelope import Request, parse_response
from airflow_provider_trackingmore.api.errors import AuthenticationError, MalformedResponseError, TrackingMoreError
from airflow_provider_trackingmore.api.interruptions import BatchInterruptedError
from airflow_provider_trackingmore.api.reports import BatchReport
from airflow_provider_trackingmore.exceptions import QuotaFloorError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from tests.integration.faults.operations import NINETY, OPERATIONS, keys
from tests.unit.api.test_any_response import ANY_JSON
from tests.unit.hostile.arbitrary_input import assert_readable_message, hypothesis_settings

MAX_CALLS = 2_000
ROWS = st.lists(
    st.builds(
        lambda key, more: {**key._asdict(), **more},
        st.sampled_from(keys(0, 45)),
        st.dictionaries(
            st.sampled_from(["status", "created_at", "meta", "code", "id", "message"]), ANY_JSON, max_size=3
        ),
    ),
    max_size=5,
)
DATA = (
    ANY_JSON
    | st.dictionaries(
        st.sampled_from(["items", "trackings", "errors", "remote", "delete"]), ROWS | ANY_JSON, max_size=3
    )
    | st.builds(lambda items, total: {"items": items, "total": total}, ROWS, st.integers(0, 99) | ANY_JSON)
)
CODES = st.sampled_from([200, 200, 200, 201, "200", 202, 4012, 4016, 4017, 4021, 4031, 4032, 500, 999, None])


class Server:
    """A server that sends the given responses in turn, and fails the test if the requests do not end."""

    def __init__(self, responses: list[tuple[Any, Any]]) -> None:
        self.responses = responses
        self.sent = 0

    def send(self, request: Request[Any], *, max_wait_seconds: float | None = None) -> Any:
        code, data = self.responses[self.sent % len(self.responses)]
        self.sent += 1
        assert self.sent <= MAX_CALLS
        return parse_response(request, 200, {}, json.dumps({"meta": {"code": code}, "data": data}).encode())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("name", OPERATIONS)
@hypothesis_settings(25)
@given(responses=st.lists(st.tuples(CODES, DATA), min_size=1, max_size=4))
def test_no_sequence_of_responses_breaks_a_method(
    monkeypatch: pytest.MonkeyPatch, name: str, responses: list[tuple[Any, Any]]
) -> None:
    server = Server(responses)
    monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: server)
    report = None
    try:
        result = OPERATIONS[name].use(TrackingMoreHook())
        report = result if isinstance(result, BatchReport) else None
    except TrackingMoreError as error:
        assert_readable_message(error.message)
        report = error.report if isinstance(error, BatchInterruptedError) else None
    except QuotaFloorError as error:
        assert_readable_message(str(error))
    if OPERATIONS[name].report:
        assert report is not None
        assert len(report) == len(list(chain(*OPERATIONS[name].report)))
        assert report.duplicates == 0


def test_a_lookup_of_ninety_shipments_sends_at_most_one_request_per_shipment_and_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server([(4012, None)])
    monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: server)
    report = TrackingMoreHook().create_trackings([key._asdict() for key in chain(*NINETY)])
    assert len(report.rejected) == 90
    assert server.sent < 2 * 90


@pytest.mark.parametrize("page_size", [1, 2, 100])
@pytest.mark.parametrize("total", ["5", 5, 10**30, None])
@pytest.mark.parametrize("created_at", [None, "2026-01-01T00:00:00+00:00"])
def test_a_list_with_a_wrong_total_ends(
    monkeypatch: pytest.MonkeyPatch, page_size: int, total: object, created_at: str | None
) -> None:
    row = {**keys(0, 1)[0]._asdict(), "created_at": created_at}
    server = Server([(200, {"total": total, "items": [row]})])
    monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: server)
    with contextlib.suppress(MalformedResponseError):
        assert len(list(TrackingMoreHook().list_trackings(page_size=page_size))) == 1


def test_a_wrong_key_causes_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([(401, None)])
    monkeypatch.setattr(TrackingMoreHook, "get_conn", lambda self: server)
    with pytest.raises(BatchInterruptedError, check=lambda error: isinstance(error.cause, AuthenticationError)):
        TrackingMoreHook().create_trackings([key._asdict() for key in chain(*NINETY)])
    assert server.sent == 1
