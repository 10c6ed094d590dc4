"""Every fault and its expected outcome: how often the request is sent, what takes effect, how the method ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.errors import (
    AuthenticationError,
    ConnectError,
    MalformedResponseError,
    QuotaExceededError,
    RateLimitError,
    ResponseLostError,
    ServerError,
    ServiceUnavailableError,
    TrackingMoreError,
)
from tests.integration.faults.operations import Operation

ATTEMPTS = 3
"""What the connection allows for one request."""


@dataclass(frozen=True)
class FaultCase:
    """One fault.

    :param kind: its name in the sandbox; ``dns`` happens on the client's side.
    :param ends: the error of a method that does not survive it; None: it goes unnoticed.
    :param again: whether the request is sent again: ``always``, ``if repeatable``, or ``never``.
    :param applied: whether the server applies the request nevertheless.
    :param times: how many requests in a row it hits before it passes.
    :param settings: settings of the fault in the sandbox.
    """

    kind: str
    ends: type[TrackingMoreError] | None
    again: str
    applied: bool = False
    times: int = 1
    settings: Mapping[str, float | bool] = field(default_factory=dict)


FAULT_CASES: dict[str, FaultCase] = {
    "429": FaultCase("429", RateLimitError, "always"),
    "429 twice in a row": FaultCase("429", RateLimitError, "always", times=2),
    "500": FaultCase("500", ServerError, "if repeatable"),
    "503": FaultCase("503", ServiceUnavailableError, "always"),
    "an HTML page with 200": FaultCase("html", MalformedResponseError, "if repeatable", settings={"status": 200}),
    "an HTML page with 502": FaultCase("html", ServerError, "if repeatable", settings={"status": 502}),
    "an HTML page with 502 after it was done": FaultCase(
        "html", ServerError, "if repeatable", applied=True, settings={"status": 502, "applied": True}
    ),
    "JSON that is cut off": FaultCase("truncated", MalformedResponseError, "if repeatable", applied=True),
    "a wrong content type": FaultCase("content_type", None, "never", applied=True),
    "an empty body": FaultCase("empty", MalformedResponseError, "if repeatable", applied=True),
    "a response that is too late": FaultCase(
        "slow", ResponseLostError, "if repeatable", applied=True, settings={"seconds": 1.0}
    ),
    "a reset before it was done": FaultCase("reset_before", ResponseLostError, "if repeatable"),
    "a reset after it was done": FaultCase("reset_after", ResponseLostError, "if repeatable", applied=True),
    "half a response": FaultCase("partial", MalformedResponseError, "if repeatable", applied=True),
    "no such host": FaultCase("dns", ConnectError, "always"),
    "an expired key": FaultCase("expired_key", AuthenticationError, "never"),
    "no quota left": FaultCase("quota", QuotaExceededError, "never"),
}
PERSISTENT = ("expired_key", "quota")
"""The kinds of faults that do not pass by themselves."""


@dataclass(frozen=True)
class Expected:
    """The expected outcome for one operation.

    :param hit: which of its requests the fault hits.
    :param sent: how often that request is sent.
    :param faulted: how many of these attempts the fault hits.
    :param succeeds: whether the method ends as if nothing had happened.
    :param finds_own_work: whether a retry finds that the first attempt took effect.
    :param failed: how many requests fail for good before the method gives up.
    """

    hit: int
    sent: int
    faulted: int
    succeeds: bool
    finds_own_work: bool
    failed: int = 1

    def requests(self, operation: Operation) -> int:
        """Return the number of requests of the method."""
        rest = operation.calls - self.hit if self.succeeds else 0
        return self.hit - 1 + self.sent * self.failed + rest + (operation.extra_requests if self.finds_own_work else 0)

    def times(self, operation: Operation, fault: FaultCase) -> list[int]:
        """Return how often each request is applied."""
        of_the_faulted = self.sent - (0 if fault.applied else self.faulted)
        rest = int(self.succeeds)
        return [1] * (self.hit - 1) + [of_the_faulted] + [rest] * (operation.calls - self.hit)


def expected(operation: Operation, fault: FaultCase, *, passes: bool, attempts: int = ATTEMPTS) -> Expected:
    """Compute the expected outcome.

    :param operation: the operation.
    :param fault: the fault.
    :param passes: whether the fault passes after its ``times``, or stays.
    :param attempts: how often one request may be sent.
    """
    hit = 1 if fault.kind == "dns" else operation.hit  # an open connection needs no name
    unnoticed = fault.ends is None or (fault.kind == "quota" and not operation.spends)
    if unnoticed:
        return Expected(hit, sent=1, faulted=0, succeeds=True, finds_own_work=False)
    repeated = fault.again == "always" or (fault.again == "if repeatable" and operation.repeatable)
    limit = attempts if repeated else 1
    faulted = min(fault.times, limit) if passes else limit
    succeeds = faulted < limit
    return Expected(
        hit,
        sent=faulted + succeeds,
        faulted=faulted,
        succeeds=succeeds,
        finds_own_work=succeeds and fault.applied and operation.idempotent,
        failed=3 if operation.halves and not succeeds and fault.ends in (ServerError, MalformedResponseError) else 1,
    )
