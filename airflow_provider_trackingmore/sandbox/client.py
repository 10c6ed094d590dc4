"""Client of the control API. Uses the standard library only."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any, cast

from .control_requests import SandboxError
from .tracking_control import TrackingControl

__all__ = ["SandboxClient", "SandboxError"]


class SandboxClient(TrackingControl):
    """Controls a running sandbox through the control API below ``/_sandbox``.

    All methods raise :class:`SandboxError` if the sandbox cannot be reached or rejects the request.

    :param base_url: its base URL, ``http://127.0.0.1:8700/v2``.
    """

    def clock(self) -> dict[str, Any]:
        """Return the clock.

        :return: ``now`` (ISO 8601), ``unix``, ``time_scale``, ``frozen``.
        """
        return cast("dict[str, Any]", self.request("GET", "/clock"))

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> dict[str, Any]:
        """Jump forward.

        :param seconds: clock seconds, added to the others.
        :param minutes: clock minutes.
        :param hours: clock hours.
        :param days: clock days.
        :return: the clock.
        """
        total = seconds + 60 * minutes + 3_600 * hours + 86_400 * days
        return cast("dict[str, Any]", self.request("POST", "/clock", {"advance": total}))

    def set_clock(self, instant: str) -> dict[str, Any]:
        """Jump to a time.

        :param instant: ISO 8601, not before the present clock time.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.request("POST", "/clock", {"set": instant}))

    def set_time_scale(self, time_scale: float) -> dict[str, Any]:
        """Change the speed of the clock; the rate limits scale with it.

        :param time_scale: clock seconds per real second.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.request("POST", "/clock", {"time_scale": time_scale}))

    def freeze(self, frozen: bool = True) -> dict[str, Any]:
        """Freeze or unfreeze the clock. There are no rate limits while it is frozen.

        :param frozen: True freezes it.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.request("POST", "/clock", {"frozen": frozen}))

    def switch(self, **positions: str | bool | float | None) -> None:
        """Set switches.

        :param positions: name to position.
        """
        self.request("POST", "/switches", positions)

    def fault(
        self,
        kind: str,
        *,
        method: str = "*",
        path: str = "*",
        account: int | None = None,
        nth: int = 1,
        count: int | None = 1,
        probability: float = 1,
        seed: int = 0,
        **settings: float | bool,
    ) -> int:
        """Inject a fault.

        :param kind: kind of the fault.
        :param method: HTTP method of the requests that fail.
        :param path: shell pattern of the path below ``/v2``.
        :param account: index of the account; None for every account.
        :param nth: the first matching request to fail, counted from 1.
        :param count: how many requests fail; None means all of them.
        :param probability: share of the matching requests that fail.
        :param seed: seed of that choice.
        :param settings: options of the kind.
        :return: its id.
        """
        body = {
            "kind": kind,
            "method": method,
            "path": path,
            "account": account,
            "nth": nth,
            "count": count,
            "probability": probability,
            "seed": seed,
            "settings": settings,
        }
        return cast("int", self.request("POST", "/faults", body)["id"])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.request("DELETE", "/faults")

    def ledger(self, account: int | None = None) -> dict[str, Any]:
        """Return a summary of the requests since the start or the last reset.

        :param account: index of the account; None for all accounts.
        :return: ``requests``, ``by_endpoint``, ``by_code``, ``rate_limited``, ``created``, ``created_twice``,
            ``quota_charged``, ``faults``.
        """
        return cast("dict[str, Any]", self.request("GET", "/ledger/summary", account=account))

    def calls(
        self, method: str = "*", path: str = "*", *, account: int | None = None, since: int = 0
    ) -> list[dict[str, Any]]:
        """Return requests from the ledger, oldest first.

        :param method: HTTP method.
        :param path: shell pattern of the path below ``/v2``.
        :param account: index of the account; None for all accounts.
        :param since: only entries with a higher ``serial``.
        :return: the entries.
        """
        response = self.request("GET", "/ledger", account=account, since=since, limit=250_000)
        return [
            entry
            for entry in response["entries"]
            if method in ("*", entry["method"]) and fnmatch.fnmatchcase(entry["path"], path)
        ]

    def last_serial(self) -> int:
        """Return the number of the latest request, for ``since`` and ``until``.

        :return: the serial; 0 before the first request.
        """
        return cast("int", self.request("GET", "/ledger", limit=1)["requests"])

    def clear_ledger(self) -> None:
        """Clear the ledger, and with it the answers: the serials start again."""
        self.request("DELETE", "/ledger")

    def keep_answers(self, keep: bool = True) -> None:
        """Remember from now on what is answered about each shipment.

        :param keep: False stops remembering; the answers so far are kept.
        """
        self.request("POST", "/answers", {"keep": keep})

    def answers(
        self, *, since: int = 0, until: int | None = None, tracking_number: str | None = None, account: int = 0
    ) -> Iterator[dict[str, Any]]:
        """Return what GET by number and lists have answered about each shipment.

        :param since: only answers to requests with a higher ``serial``.
        :param until: only answers to requests up to this ``serial``; None for no limit.
        :param tracking_number: only shipments with this number.
        :param account: index of the account.
        :return: ``carrier_code``, ``tracking_number`` and ``answers`` of each shipment: the distinct contents by the
            first request that got each. An answer has ``serials`` and ``clock_unix`` of all requests that got it, and
            ``item``, None if the answer was that there is no such shipment.
        """
        offset: int | None = 0
        while offset is not None:
            page = self.request(
                "GET",
                "/answers",
                account=account,
                since=since,
                until=until,
                tracking_number=tracking_number,
                offset=offset,
            )
            yield from page["shipments"]
            offset = page["next_offset"]

    def clear_answers(self) -> None:
        """Forget the answers, not the ledger."""
        self.request("DELETE", "/answers")

    def accounts(self) -> list[dict[str, Any]]:
        """Return the accounts.

        :return: index, quota, number of trackings in total and by status, and state of each.
        """
        return cast("list[dict[str, Any]]", self.request("GET", "/accounts"))

    def change_account(self, index: int = 0, **changes: float | bool | str) -> dict[str, Any]:
        """Change an account.

        :param index: its index.
        :param changes: ``quota``, ``deleted``, ``deleted_code``, ``cool_down``, ``api_key``, ``webhook_url``.
        :return: the account.
        """
        return cast("dict[str, Any]", self.request("PATCH", f"/accounts/{index}", changes))

    def reset(self, **settings: Any) -> None:
        """Reset the sandbox: no shipments, faults or ledger entries; clock and switches as at the start.

        :param settings: ``start``, ``time_scale``, ``seed``, ``limits``, if they differ from those of the start.
        """
        self.request("POST", "/reset", settings)
