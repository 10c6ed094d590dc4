"""Client of the control API. Uses the standard library only."""

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
    """The sandbox did not start, or rejected a request; the message says why."""


class SandboxClient:
    """Controls a running sandbox through the control API below ``/_sandbox``.

    :param base_url: its base URL, ``http://127.0.0.1:8700/v2``.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request to the control API.

        :param method: HTTP method.
        :param path: path below ``/_sandbox``, such as ``/clock``.
        :param body: the body, sent as JSON.
        :param query: query parameters; None is omitted.
        :return: the decoded JSON response.
        :raises SandboxError: the sandbox rejected the request.
        """
        query_string = urlencode({name: value for name, value in query.items() if value is not None})
        url = self.base_url.removesuffix("/v2") + "/_sandbox" + path + ("?" + query_string if query_string else "")
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, content, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - http only
        try:
            with _opener.open(request, timeout=120) as response:
                return json.load(response)
        except HTTPError as error:
            raise SandboxError(f"{method} {path}: {_error_detail(error.read())}") from None

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
        """Register shipments without calls and without using quota.

        :param count: how many shipments to generate.
        :param shipments: instead of ``count``: the fields of each shipment, and optionally ``age_hours``.
        :param account: index of the account.
        :param seed: seed of the generated numbers and ages.
        :param ages_days: range of their ages in days.
        :param carriers: their carriers, in rotation.
        :param journey: such as ``DELIVERED-3D``; None means a mix.
        :return: ``carrier_code`` and ``tracking_number`` of each shipment that was new.
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
        return cast("list[dict[str, str]]", self.request("POST", "/seed", body)["shipments"])

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

    def clear_ledger(self) -> None:
        """Clear the ledger."""
        self.request("DELETE", "/ledger")

    def trackings(
        self, account: int = 0, *, status: str | None = None, tracking_number: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the registered shipments, oldest first.

        :param account: index of the account.
        :param status: only those with this status.
        :param tracking_number: only those with this number.
        :return: their state; ``changes`` lists when each status becomes visible.
        """
        response = self.request(
            "GET", "/trackings", account=account, status=status, tracking_number=tracking_number, limit=200_000
        )
        return cast("list[dict[str, Any]]", response["trackings"])

    def accounts(self) -> list[dict[str, Any]]:
        """Return the accounts.

        :return: index, quota, number of trackings in total and by status, and state of each.
        """
        return cast("list[dict[str, Any]]", self.request("GET", "/accounts"))

    def change_account(self, index: int = 0, **changes: float | bool | str) -> dict[str, Any]:
        """Change an account.

        :param index: its index.
        :param changes: ``quota``, ``deleted``, ``deleted_code``, ``cool_down``, ``api_key``.
        :return: the account.
        """
        return cast("dict[str, Any]", self.request("PATCH", f"/accounts/{index}", changes))

    def reset(self, **settings: Any) -> None:
        """Reset the sandbox: no shipments, faults or ledger entries; clock and switches as at the start.

        :param settings: ``start``, ``time_scale``, ``seed``, ``limits``, if they differ from those of the start.
        """
        self.request("POST", "/reset", settings)


def _error_detail(body: bytes) -> str:
    """Extract the message of an error response."""
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    return detail if isinstance(detail, str) else body.decode(errors="replace")
