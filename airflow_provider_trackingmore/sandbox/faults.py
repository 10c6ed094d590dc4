"""Faults: decides which requests fail and how. The gateway injects them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .limits import MAX_QUOTA

ARRIVAL = {"latency": "delays the arrival of the request by `min_ms` to `max_ms` real milliseconds (default 0 to 150)"}
ACCOUNT = {
    "expired_key": "deletes the API key from this request on (code 4002, or `code`) until the account is changed back",
    "quota": "sets the quota of the account to `left` (default 0) just before the request takes effect",
}
RESPONSE = {
    "429": "answers 429 like the rate limit; with `cool_down` true it also starts the cool-down",
    "500": "answers HTTP 500 with the vendor's envelope",
    "503": "answers HTTP 503 with the vendor's envelope",
    "meta_code": "answers HTTP 200 with the vendor's envelope and the code `value` (default 4999, which is unknown)",
    "html": "answers with an HTML page and HTTP `status` (default 502)",
    "truncated": "applies the request, sends half of the JSON as a complete body",
    "content_type": "applies the request, sends the JSON as `text/html`",
    "empty": "applies the request, answers HTTP 200 with an empty body",
    "slow": "applies the request, answers after `seconds` real seconds (default 5)",
    "reset_before": "resets the connection without applying the request",
    "reset_after": "applies the request, then resets the connection without an answer",
    "close_before": "closes the connection without applying the request",
    "close_after": "applies the request, then closes the connection without an answer",
    "partial": "applies the request, sends half of the announced body and closes the connection",
    "half_done": "applies a request with a list of shipments to the first half only, and reports only those",
}
KINDS: Mapping[str, str] = ARRIVAL | ACCOUNT | RESPONSE
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "min_ms": (0, 600_000),
    "max_ms": (0, 600_000),
    "code": (4001, 4002),
    "left": (0, MAX_QUOTA),
    "status": (200, 599),
    "value": (100, 9_999),
    "seconds": (0, 3_600),
    "applied": (False, True),
    "cool_down": (False, True),
}
APPLIED_KINDS = frozenset(
    {"truncated", "content_type", "empty", "slow", "reset_after", "close_after", "partial", "half_done"}
)
"""Response faults whose request takes effect. For the others the setting ``applied`` decides."""
_STAGES = {
    **dict.fromkeys(ARRIVAL, "arrival"),
    **dict.fromkeys(ACCOUNT, "account"),
    **dict.fromkeys(RESPONSE, "response"),
}


def validate_settings(settings: Mapping[str, float | bool]) -> None:
    """Reject unknown settings, and values that would break the sandbox itself.

    :param settings: options of the kind.
    :raises ValueError: a setting is unknown or out of bounds.
    """
    for name, value in settings.items():
        if name not in _BOUNDS:
            raise ValueError(f"unknown setting {name!r}; the settings are {', '.join(_BOUNDS)}")
        minimum, maximum = _BOUNDS[name]
        if not minimum <= value <= maximum:
            raise ValueError(f"{name} must be a number from {minimum:g} to {maximum:g}")


@dataclass(slots=True)
class Fault:
    """One planned fault.

    :param kind: one of :data:`KINDS`.
    :param method: HTTP method, or ``*``.
    :param path: shell pattern of the path below ``/v2``, such as ``/trackings/*``.
    :param account: index of the account; None for every account.
    :param nth: the first matching request to fail, counted from 1.
    :param count: how many requests fail; None means all of them.
    :param probability: share of the matching requests that fail.
    :param seed: seed of that choice.
    :param settings: options of the kind.
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

    def matches(self, method: str, path: str, account: int | None) -> bool:
        """Count a request, and decide whether it fails.

        :param method: its HTTP method.
        :param path: its path below ``/v2``.
        :param account: index of its account.
        :return: whether the fault applies to it.
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

    def setting(self, name: str, default: float) -> float:
        """Read a setting.

        :param name: its name.
        :param default: its default.
        :return: its value.
        """
        return float(self.settings.get(name, default))

    @property
    def takes_effect(self) -> bool:
        """Whether the request takes effect nevertheless."""
        return self.kind in APPLIED_KINDS or bool(self.settings.get("applied", False))

    def latency(self) -> float:
        """Choose a delay.

        :return: real seconds.
        """
        low, high = self.setting("min_ms", 0), self.setting("max_ms", 150)
        return self.random.uniform(low, max(low, high)) / 1000

    def to_dict(self) -> dict[str, Any]:
        """Convert it to a dict.

        :return: its settings, and how many requests it matched and applied to.
        """
        names = ("id", "kind", "method", "path", "account", "nth", "count", "probability", "seed", "matched", "fired")
        return {name: getattr(self, name) for name in names} | {"settings": dict(self.settings)}


class FaultPlan:
    """The planned faults. In each stage (arrival, account, response), only the first one that matches applies."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all faults."""
        self.planned: list[Fault] = []
        self._next_id = 1

    def add(self, fault: Fault) -> Fault:
        """Add a fault.

        :param fault: the fault.
        :return: the same, with its id.
        """
        fault.id = self._next_id
        self._next_id += 1
        self.planned.append(fault)
        return fault

    def remove(self, fault_id: int) -> bool:
        """Remove a fault.

        :param fault_id: its id.
        :return: whether it was planned.
        """
        before = len(self.planned)
        self.planned = [fault for fault in self.planned if fault.id != fault_id]
        return len(self.planned) < before

    def pick(self, stage: str, method: str, path: str, account: int | None) -> Fault | None:
        """Select the fault that applies to a request.

        :param stage: ``arrival``, ``account`` or ``response``.
        :param method: its HTTP method.
        :param path: its path below ``/v2``.
        :param account: index of its account.
        :return: the fault; None if no fault applies.
        """
        for fault in self.planned:
            if _STAGES[fault.kind] == stage and fault.matches(method, path, account):
                return fault
        return None
