"""Every fault, and what follows from it by rule: how often a request is sent, what it does, how the method ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_trackingmore.api.errors import (
    AnswerLostError,
    AuthenticationError,
    ConnectError,
    MalformedAnswerError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
    TrackingMoreError,
)
from tests.integration.faults.operations import Operation

ATTEMPTS = 3
"""What the connection allows for one request."""


@dataclass(frozen=True)
class Trouble:
    """One fault.

    :param kind: what the sandbox calls it; ``dns`` happens on this side.
    :param ends: how it ends what it does not pass by; None: it goes unnoticed.
    :param again: ``always`` sent again, ``if repeatable``, or ``never``.
    :param applied: whether the server carries the request out all the same.
    :param times: how many requests in a row it hits before it passes.
    :param settings: what the sandbox is told about it.
    """

    kind: str
    ends: type[TrackingMoreError] | None
    again: str
    applied: bool = False
    times: int = 1
    settings: Mapping[str, float | bool] = field(default_factory=dict)


TROUBLES: dict[str, Trouble] = {
    "429": Trouble("429", RateLimitError, "always"),
    "429 twice in a row": Trouble("429", RateLimitError, "always", times=2),
    "500": Trouble("500", ServerError, "if repeatable"),
    "503": Trouble("503", ServiceUnavailableError, "always"),
    "an HTML page with 200": Trouble("html", MalformedAnswerError, "if repeatable", settings={"status": 200}),
    "an HTML page with 502": Trouble("html", ServerError, "if repeatable", settings={"status": 502}),
    "an HTML page with 502 after it was done": Trouble(
        "html", ServerError, "if repeatable", applied=True, settings={"status": 502, "applied": True}
    ),
    "JSON that is cut off": Trouble("truncated", MalformedAnswerError, "if repeatable", applied=True),
    "a wrong content type": Trouble("content_type", None, "never", applied=True),
    "an empty body": Trouble("empty", MalformedAnswerError, "if repeatable", applied=True),
    "an answer too late": Trouble("slow", AnswerLostError, "if repeatable", applied=True, settings={"seconds": 1.0}),
    "a reset before it was done": Trouble("reset_before", AnswerLostError, "if repeatable"),
    "a reset after it was done": Trouble("reset_after", AnswerLostError, "if repeatable", applied=True),
    "half an answer": Trouble("partial", MalformedAnswerError, "if repeatable", applied=True),
    "no such host": Trouble("dns", ConnectError, "always"),
    "an expired key": Trouble("expired_key", AuthenticationError, "never"),
    "no quota left": Trouble("quota", QuotaExceededError, "never"),
}
LASTING = ("expired_key", "quota")
"""What does not pass by itself."""


@dataclass(frozen=True)
class Expected:
    """What follows for one operation.

    :param hit: which of its requests meets the trouble.
    :param sent: how often that one is sent.
    :param spoilt: how many of these the trouble hits.
    :param succeeds: whether the method ends as if nothing had been.
    :param meets_itself: whether a repetition finds its own work.
    :param failed: how many requests fail for good before the method gives up.
    """

    hit: int
    sent: int
    spoilt: int
    succeeds: bool
    meets_itself: bool
    failed: int = 1

    def requests(self, operation: Operation) -> int:
        """All requests of the method."""
        rest = operation.calls - self.hit if self.succeeds else 0
        return self.hit - 1 + self.sent * self.failed + rest + (operation.look if self.meets_itself else 0)

    def times(self, operation: Operation, trouble: Trouble) -> list[int]:
        """How often each request is carried out."""
        of_the_hit_one = self.sent - (0 if trouble.applied else self.spoilt)
        rest = int(self.succeeds)
        return [1] * (self.hit - 1) + [of_the_hit_one] + [rest] * (operation.calls - self.hit)


def expected(operation: Operation, trouble: Trouble, *, passes: bool, attempts: int = ATTEMPTS) -> Expected:
    """Apply the rules.

    :param operation: what is done.
    :param trouble: what goes wrong.
    :param passes: whether it passes after its ``times``, or stays.
    :param attempts: how often one request may be sent.
    """
    hit = 1 if trouble.kind == "dns" else operation.hit  # an open connection needs no name
    unnoticed = trouble.ends is None or (trouble.kind == "quota" and not operation.spends)
    if unnoticed:
        return Expected(hit, sent=1, spoilt=0, succeeds=True, meets_itself=False)
    repeated = trouble.again == "always" or (trouble.again == "if repeatable" and operation.repeatable)
    limit = attempts if repeated else 1
    spoilt = min(trouble.times, limit) if passes else limit
    succeeds = spoilt < limit
    return Expected(
        hit,
        sent=spoilt + succeeds,
        spoilt=spoilt,
        succeeds=succeeds,
        meets_itself=succeeds and trouble.applied and operation.settles,
        failed=3 if operation.halves and not succeeds and trouble.ends in (ServerError, MalformedAnswerError) else 1,
    )
