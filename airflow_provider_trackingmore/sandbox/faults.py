"""Which request is to go wrong, and how: decides, never does. The front door carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

ARRIVAL = {
    "latency": "waits `min_ms` to `max_ms` real milliseconds (default 0 to 150) before the request counts as arrived"
}
STATE = {
    "expired_key": "deletes the key from this request on (4002, or what `code` says) until the account is mended",
    "quota": "sets the quota of the account to `left` (default 0) just before the request is applied",
}
ANSWER = {
    "429": "answers 429 as the rate limit does; with `cool_down` true the two minutes begin too",
    "500": "answers HTTP 500 with the vendor's envelope",
    "503": "answers HTTP 503 with the vendor's envelope",
    "html": "answers an HTML page with HTTP `status` (default 502)",
    "truncated": "applies the request, sends half of the JSON as if it were whole",
    "content_type": "applies the request, sends the JSON as text/html",
    "empty": "applies the request, answers HTTP 200 with no body",
    "slow": "applies the request, answers after `seconds` real seconds (default 5)",
    "reset_before": "resets the connection, the request is not applied",
    "reset_after": "applies the request, then resets the connection without an answer",
    "close_before": "closes the connection without an answer, the request is not applied",
    "close_after": "applies the request, then closes the connection without an answer",
    "partial": "applies the request, announces the whole body, sends half of it and closes the connection",
    "half_done": "changes or deletes only the first half of a list of shipments, and counts and lists only those",
}
KINDS: Mapping[str, str] = ARRIVAL | STATE | ANSWER
LARGEST_QUOTA = 1e12
_BOUNDS = {
    "min_ms": (0, 600_000),
    "max_ms": (0, 600_000),
    "code": (4001, 4002),
    "left": (0, LARGEST_QUOTA),
    "status": (200, 599),
    "seconds": (0, 3_600),
}
APPLIES = frozenset(
    {"truncated", "content_type", "empty", "slow", "reset_after", "close_after", "partial", "half_done"}
)
"""Answer faults whose request takes effect; the others can be told so by ``applied``."""
_LAYERS = {**dict.fromkeys(ARRIVAL, "arrival"), **dict.fromkeys(STATE, "state"), **dict.fromkeys(ANSWER, "answer")}


def check_settings(settings: Mapping[str, float | bool]) -> None:
    """Refuse settings that would break the sandbox in place of an answer.

    :param settings: what the kind lets one set.
    :raises ValueError: naming the setting and its bounds.
    """
    for name, (least, most) in _BOUNDS.items():
        if not least <= settings.get(name, least) <= most:
            raise ValueError(f"{name} is a number from {least:g} to {most:g}")


@dataclass(slots=True)
class Fault:
    """One planned fault.

    :param kind: one of :data:`KINDS`.
    :param method: HTTP method, or ``*``.
    :param path: shell pattern of the path below ``/v2``, such as ``/trackings/*``.
    :param account: index of the account; None for every account.
    :param nth: the first matching request that it hits, counted from 1.
    :param count: how many requests it hits; None has no end.
    :param probability: share of the matching requests that it hits.
    :param seed: decides which ones.
    :param settings: what the kind lets one set.
    """

    kind: str
    method: str = "*"
    path: str = "*"
    account: int | None = None
    nth: int = 1
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    matched: int = 0
    fired: int = 0
    random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def hits(self, method: str, path: str, account: int | None) -> bool:
        """Count a request, and decide on it.

        :param method: its HTTP method.
        :param path: its path below ``/v2``.
        :param account: index of its account.
        :return: whether the fault hits it.
        """
        if self.method not in ("*", method) or not fnmatchcase(path, self.path):
            return False
        if self.account is not None and self.account != account:
            return False
        self.matched += 1
        if self.matched < self.nth or (self.count is not None and self.fired >= self.count):
            return False
        if self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def number(self, name: str, default: float) -> float:
        """Read a setting.

        :param name: its name.
        :param default: its value when it is not set.
        :return: the number.
        """
        return float(self.settings.get(name, default))

    @property
    def applies(self) -> bool:
        """Whether the request takes effect all the same."""
        return self.kind in APPLIES or bool(self.settings.get("applied", False))

    def latency(self) -> float:
        """Draw a delay.

        :return: real seconds.
        """
        low, high = self.number("min_ms", 0), self.number("max_ms", 150)
        return self.random.uniform(low, max(low, high)) / 1000

    def public(self) -> dict[str, Any]:
        """Show it.

        :return: the plan, and how many requests it matched and hit.
        """
        names = ("id", "kind", "method", "path", "account", "nth", "count", "probability", "seed", "matched", "fired")
        return {name: getattr(self, name) for name in names} | {"settings": dict(self.settings)}


class FaultBoard:
    """All planned faults. In each layer (arrival, state, answer) the first that hits a request is the only one."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self.planned: list[Fault] = []
        self._next_id = 1

    def add(self, fault: Fault) -> Fault:
        """Plan a fault.

        :param fault: the plan.
        :return: the same, with its id.
        """
        fault.id = self._next_id
        self._next_id += 1
        self.planned.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Forget one.

        :param fault_id: its id.
        :return: whether there was one.
        """
        before = len(self.planned)
        self.planned = [fault for fault in self.planned if fault.id != fault_id]
        return len(self.planned) < before

    def pick(self, layer: str, method: str, path: str, account: int | None) -> Fault | None:
        """Choose what goes wrong with a request.

        :param layer: ``arrival``, ``state`` or ``answer``.
        :param method: its HTTP method.
        :param path: its path below ``/v2``.
        :param account: index of its account.
        :return: the fault; None when all goes well.
        """
        for fault in self.planned:
            if _LAYERS[fault.kind] == layer and fault.hits(method, path, account):
                return fault
        return None
