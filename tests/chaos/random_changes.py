"""Random changes of the sandbox's shipments between two loads, drawn from a seed."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.request import Request, urlopen

from airflow_provider_trackingmore.sandbox.process import SandboxError, SandboxProcess

ACTIONS = {"reword": 5, "drop": 2, "add": 5, "reopen": 3, "touch": 2, "delete": 1}
PEOPLE = {"customer_name": "Ada Lovelace", "customer_email": "ada.lovelace@example.com"}


class RandomChanges:
    """Changes shipments of the sandbox, and reads all of them after each round of changes.

    Nothing that was there for a while is left out of the sandbox's answers that way.

    :param sandbox: the sandbox.
    :param seed: the seed.
    """

    def __init__(self, sandbox: SandboxProcess, seed: int) -> None:
        self._sandbox = sandbox
        self._rng = random.Random(seed)
        self._deleted: list[dict[str, str]] = []
        self._registered = 0
        self._parcels: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}

    def register(self, count: int, ages_days: tuple[float, float] = (0, 1)) -> None:
        """Register new shipments, and one that was deleted again."""
        self._registered += 1
        details = {"order_id": "A-{number}", **PEOPLE}
        self._sandbox.seed(count, seed=self._registered, ages_days=ages_days, details=details)
        self._count("register", count)
        if self._deleted and self._rng.random() < 0.5:
            again = self._deleted.pop(self._rng.randrange(len(self._deleted)))
            self._sandbox.seed(shipments=[{**again, **PEOPLE}])
            self._count("register again")
        self._parcels = self._sandbox.trackings()

    def change(self, count: int) -> None:
        """Change some shipments, young and old, one half of them without a new ``updated_at``."""
        rng = self._rng
        parcels = self._parcels
        for _ in range(count):
            parcel = rng.choice(parcels[-100:] if rng.random() < 0.7 else parcels)
            key = {name: parcel[name] for name in ("carrier_code", "tracking_number")}
            [action] = rng.choices(list(ACTIONS), list(ACTIONS.values()))
            change = {**key, "action": action, **self._details(action)}
            try:
                self._sandbox.change_trackings([change])
            except SandboxError:
                continue  # it has no event, or was deleted
            self._count(action)
            if action == "delete":
                self._deleted.append(key)
        self.read_everything()

    def _details(self, action: str) -> dict[str, Any]:
        rng = self._rng
        dated = rng.choice(["now", "now", "keep", "null"])
        text = f"Scan {rng.randrange(10**6)}"
        if action == "touch":
            return {"updated_at": rng.choice(["now", "null"])}
        if action == "delete":
            return {}
        if action == "reword":
            return {"description": text, "event": rng.choice([0, 0, 1, 2]), "updated_at": dated}
        if action == "drop":
            return {"event": rng.choice([0, 1]), "updated_at": dated}
        if action == "reopen":
            return {"delivered_after_hours": rng.choice([None, 24]), "updated_at": dated}
        return {"description": text, "age_hours": rng.choice([0, 48, 200]), "updated_at": dated}

    def read_everything(self) -> bytes:
        """List the account without this package's client: one page holds it."""
        request = Request(
            f"{self._sandbox.base_url}/trackings/get?limit=2000",
            headers={"Trackingmore-Api-Key": self._sandbox.api_key},
        )
        with urlopen(request) as response:
            content: bytes = response.read()
        return content

    def registered(self) -> list[tuple[str, str]]:
        """The shipments that are registered now."""
        data = json.loads(self.read_everything())["data"]
        assert int(data["total"]) == len(data["items"])
        return [(item["carrier_code"], item["tracking_number"]) for item in data["items"]]

    def _count(self, action: str, count: int = 1) -> None:
        self.counts[action] = self.counts.get(action, 0) + count
