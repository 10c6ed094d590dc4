"""``Sender``: the part of a client that waits need."""

from __future__ import annotations

from typing import Protocol, TypeVar

from airflow_provider_trackingmore.api.envelope import Request

T = TypeVar("T")


class Sender(Protocol):
    """Sends requests for one account."""

    @property
    def account(self) -> str:
        """The fingerprint of the host and the key."""
        ...

    @property
    def route(self) -> str:
        """Identifies the account and the route to it. Senders with the same route are interchangeable."""
        ...

    async def send_async(
        self, request: Request[T], *, max_wait_seconds: float | None = None, max_attempts: int | None = None
    ) -> T:
        """Send a request as soon as the account's rate limit allows, and return its result."""
        ...

    def close(self) -> None:
        """Close the connections. The sender can be used again."""
        ...
