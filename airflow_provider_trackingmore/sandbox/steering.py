"""Steers a running sandbox through ``/_sandbox/…``. Standard library only; knows nothing of the vendor's API."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

_opener = build_opener(ProxyHandler({}))


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused an order; the text says why."""


class SandboxControl:
    """Steers a running sandbox through ``/_sandbox/…``.

    :param base_url: its base URL, ``http://127.0.0.1:8700/v2``.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def order(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send any order to the control interface.

        :param method: HTTP method.
        :param path: path below ``/_sandbox``, such as ``/clock``.
        :param body: what is sent as JSON.
        :param query: query parameters; None is left out.
        :return: the answer, read from JSON.
        :raises SandboxError: the sandbox refused.
        """
        given = urlencode({name: value for name, value in query.items() if value is not None})
        url = self.base_url.removesuffix("/v2") + "/_sandbox" + path + ("?" + given if given else "")
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, content, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - http only
        try:
            with _opener.open(request, timeout=120) as answer:
                return json.load(answer)
        except HTTPError as problem:
            raise SandboxError(f"{method} {path}: {_said(problem.read())}") from None

    def clock(self) -> dict[str, Any]:
        """Read the clock.

        :return: ``now`` (ISO 8601), ``unix``, ``time_scale``, ``frozen``.
        """
        return cast("dict[str, Any]", self.order("GET", "/clock"))

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> dict[str, Any]:
        """Jump forward.

        :param seconds: clock seconds, added to the others.
        :param minutes: clock minutes.
        :param hours: clock hours.
        :param days: clock days.
        :return: the clock.
        """
        total = seconds + 60 * minutes + 3_600 * hours + 86_400 * days
        return cast("dict[str, Any]", self.order("POST", "/clock", {"advance": total}))

    def set_clock(self, instant: str) -> dict[str, Any]:
        """Jump to an instant.

        :param instant: ISO 8601, not in the clock's past.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.order("POST", "/clock", {"set": instant}))

    def set_time_scale(self, time_scale: float) -> dict[str, Any]:
        """Run faster or slower; the limits go with it.

        :param time_scale: clock seconds in a real second.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.order("POST", "/clock", {"time_scale": time_scale}))

    def freeze(self, frozen: bool = True) -> dict[str, Any]:
        """Stop the clock, or let it run on. A stopped clock has no rate limit.

        :param frozen: True stops it.
        :return: the clock.
        """
        return cast("dict[str, Any]", self.order("POST", "/clock", {"frozen": frozen}))

    def seed(
        self,
        count: int = 0,
        *,
        shipments: Sequence[Mapping[str, Any]] = (),
        account: int = 0,
        seed: int = 0,
        ages_days: tuple[float, float] = (0, 20),
        carriers: Sequence[str] = (),
        journey: str | None = None,
    ) -> list[dict[str, str]]:
        """Register shipments without calls, quota or limits.

        :param count: how many made-up ones.
        :param shipments: instead, the fields of each one, and ``age_hours``.
        :param account: index of the account.
        :param seed: decides the made-up numbers and ages.
        :param ages_days: between which ages they are spread.
        :param carriers: their carriers, in turn.
        :param journey: such as ``DELIVERED-3D``; None means a mix.
        :return: ``carrier_code`` and ``tracking_number`` of each one that was added.
        """
        body = {
            "account": account,
            "count": count,
            "seed": seed,
            "ages_days": ages_days,
            "carriers": list(carriers),
            "journey": journey,
            "shipments": [dict(shipment) for shipment in shipments],
        }
        return cast("list[dict[str, str]]", self.order("POST", "/seed", body)["shipments"])

    def switch(self, **positions: str | bool | float | None) -> None:
        """Set switches.

        :param positions: name to position.
        """
        self.order("POST", "/switches", positions)

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
        """Plan a fault.

        :param kind: which one.
        :param method: HTTP method it hits.
        :param path: shell pattern of the path below ``/v2``.
        :param account: index of the account it hits; None for every one.
        :param nth: the first matching request that it hits.
        :param count: how many it hits; None has no end.
        :param probability: share of the matching requests that it hits.
        :param seed: decides which ones.
        :param settings: what the kind lets one set.
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
        return cast("int", self.order("POST", "/faults", body)["id"])

    def clear_faults(self) -> None:
        """Forget all faults."""
        self.order("DELETE", "/faults")

    def ledger(self, account: int | None = None) -> dict[str, Any]:
        """Add up the requests since the start or the last reset.

        :param account: index of the account; None adds up all.
        :return: ``requests``, ``by_endpoint``, ``by_code``, ``rate_limited``, ``created``, ``created_twice``,
            ``quota_charged``, ``faults``.
        """
        return cast("dict[str, Any]", self.order("GET", "/ledger/summary", account=account))

    def calls(
        self, method: str = "*", path: str = "*", *, account: int | None = None, since: int = 0
    ) -> list[dict[str, Any]]:
        """Read requests from the ledger, oldest first.

        :param method: HTTP method.
        :param path: shell pattern of the path below ``/v2``.
        :param account: index of the account; None for all.
        :param since: only entries with a higher ``serial``.
        :return: the entries.
        """
        answer = self.order("GET", "/ledger", account=account, since=since, limit=250_000)
        return [
            entry
            for entry in answer["entries"]
            if method in ("*", entry["method"]) and fnmatch.fnmatchcase(entry["path"], path)
        ]

    def clear_ledger(self) -> None:
        """Begin a new ledger."""
        self.order("DELETE", "/ledger")

    def trackings(
        self, account: int = 0, *, status: str | None = None, tracking_number: str | None = None
    ) -> list[dict[str, Any]]:
        """Read what the sandbox knows about shipments, oldest registration first.

        :param account: index of the account.
        :param status: only those with this status.
        :param tracking_number: only those with this number.
        :return: their state; ``changes`` is what is going to show, and when.
        """
        answer = self.order(
            "GET", "/trackings", account=account, status=status, tracking_number=tracking_number, limit=200_000
        )
        return cast("list[dict[str, Any]]", answer["trackings"])

    def accounts(self) -> list[dict[str, Any]]:
        """Read the accounts.

        :return: index, quota, number of trackings and state of each.
        """
        return cast("list[dict[str, Any]]", self.order("GET", "/accounts"))

    def change_account(self, index: int = 0, **changes: float | bool) -> dict[str, Any]:
        """Change an account in mid-run.

        :param index: its index.
        :param changes: ``quota``, ``deleted``, ``deleted_code``, ``cool_down``.
        :return: the account.
        """
        return cast("dict[str, Any]", self.order("PATCH", f"/accounts/{index}", changes))

    def reset(self, **start: Any) -> None:
        """Begin anew: no shipments, faults or ledger, switches and clock as at the start.

        :param start: ``start``, ``time_scale``, ``seed``, ``limits`` for the new beginning.
        """
        self.order("POST", "/reset", start)


def _said(body: bytes) -> str:
    """The words of a refusal, without the JSON around them where there is a single text."""
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    return detail if isinstance(detail, str) else body.decode(errors="replace")
