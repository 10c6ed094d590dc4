"""Ten thousand hostile requests to the webhook route of a real API server with two workers, while tasks wait.

`make test-chaos TESTS=tests/chaos/webhook_attack.py` runs it; its name keeps it out of `make test`. Nothing may be
released, calls and memory stay bounded, no log shows the secret, and a true webhook works afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from airflow import __version__

from tests.system.test_webhooks import System, system  # noqa: F401 - a fixture
from tests.system.webhook_dags.released_by_webhook import LEFT_WAITING, SHIPMENTS

pytestmark = pytest.mark.skipif(
    tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="the route exists from Airflow 3.1 on"
)

REQUESTS = 10_000
LARGE, SLOW = 20, 20
"""How many of them have a body of 60 MB, or one that never ends."""
THREADS = 8
EMAIL = "account-0@sandbox.example"
MEMORY_BYTES = 300_000_000
"""By how much the memory of the API server may grow. A tenth of the large bodies would be more."""
WAKE_SECONDS = 30
STRANGERS = {404}


class Attacker:
    """Sends requests, and counts the answers by kind of request."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = urlsplit(url)
        self.path = self.url.path
        self.rng = random.Random(seed)
        self.answers: Counter[tuple[str, int | None]] = Counter()
        self._lock = threading.Lock()
        self._replayed = json.dumps(signed(SHIPMENTS[0], age=3_600))

    def kinds(self) -> Iterator[str]:
        """The kinds of the requests, in a random order."""
        kinds = [self._wrong_signature, self._replay, self._malformed, self._unknown_number, self._wrong_secret]
        kinds += [self._path_trick, self._known_number]
        names = [kind.__name__ for kind in self.rng.choices(kinds, k=REQUESTS - LARGE - SLOW)]
        names += ["_large_body"] * LARGE + ["_slow_body"] * SLOW
        self.rng.shuffle(names)
        yield from names

    def attack(self, kind: str) -> None:
        status: int | None
        try:
            status = getattr(self, kind)()
        except (OSError, http.client.HTTPException):  # the server has closed the connection before the body was sent
            status = None
        with self._lock:
            self.answers[kind, status] += 1

    def of(self, kind: str) -> set[int | None]:
        return {status for name, status in self.answers if name == kind}

    def _post(self, body: bytes | str, path: str | None = None) -> int:
        connection = http.client.HTTPConnection(str(self.url.hostname), self.url.port, timeout=120)
        try:
            connection.request("POST", path or self.path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def _wrong_signature(self) -> int:
        return self._post(json.dumps(signed(self.rng.choice(SHIPMENTS), email="stranger@attacker.example")))

    def _replay(self) -> int:
        return self._post(self._replayed)

    def _known_number(self) -> int:
        """By somebody who knows everything: the wait may look, and must not end."""
        return self._post(json.dumps(signed(self.rng.choice(SHIPMENTS), status="delivered")))

    def _unknown_number(self) -> int:
        number = f"OTHER{self.rng.randrange(10**9)}"
        return self._post(json.dumps(signed({"carrier_code": "usps", "tracking_number": number})))

    def _malformed(self) -> int:
        good = json.dumps(signed(SHIPMENTS[0]))
        bodies = [b"", b"\x00" * 1_000, good[:-5], "[" * 50_000, '{"a":' * 50_000, "null", good.replace("usps", "\\n")]
        return self._post(self.rng.choice(bodies))

    def _wrong_secret(self) -> int:
        return self._post(json.dumps(signed(SHIPMENTS[0])), self.path[:-4] + f"{self.rng.randrange(10_000):04}")

    def _path_trick(self) -> int:
        start, _, secret = self.path.rpartition("/")
        tricks = (f"{start}//{secret}", f"{start}/%2e%2e/{secret}", f"{start}/{secret}%00", f"{start}x/{secret}")
        return self._post(json.dumps(signed(SHIPMENTS[0])), self.rng.choice(tricks))

    def _large_body(self) -> int:
        return self._post(b" " * 60_000_000)

    def _slow_body(self) -> int:
        with socket.create_connection((str(self.url.hostname), self.url.port), timeout=60) as connection:
            connection.sendall(f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{{".encode())
            return int(connection.recv(1_000).split()[1])


def signed(shipment: dict[str, str], *, email: str = EMAIL, age: float = 0, **data: str) -> dict[str, Any]:
    sent_at = int(time.time() - age)
    signature = hmac.new(email.encode(), str(sent_at).encode(), hashlib.sha256).hexdigest()
    return {"data": {**shipment, **data}, "verifyInfo": {"timeStr": sent_at, "signature": signature}}


def memory(system: System) -> int:  # noqa: F811
    total = 0
    for process in system.airflow.processes("api-server"):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def test_an_attack_releases_nothing_and_costs_little(system: System, record_property: Callable[..., None]) -> None:  # noqa: F811
    attacker = Attacker(system.url, seed=12)
    attacker.attack("_known_number")  # the API server loads what it needs
    time.sleep(5)
    tries = system.rows("SELECT task_id, try_number FROM task_instance WHERE task_id LIKE 'wait_%'")
    mark, before, began = system.sandbox.last_serial(), memory(system), time.monotonic()
    peak = [before]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            peak.append(memory(system))

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(attacker.attack, attacker.kinds()))
    seconds = time.monotonic() - began
    over.set()
    watching.join()
    time.sleep(5)  # hints that are still pending
    calls = len(system.sandbox.calls(since=mark))
    growth = max(peak) - before
    print(f"\n{REQUESTS} requests in {seconds:.0f} s, {calls} calls to TrackingMore, {growth / 1e6:.0f} MB more memory")
    print(sorted(attacker.answers.items(), key=str))
    for name, value in (("seconds", seconds), ("calls", calls), ("memory", growth)):
        record_property(name, value)

    system.airflow.check()
    assert set(system.tasks().values()) <= {"deferred", "scheduled", "queued", "running", None}, "none has ended"
    assert tries == system.rows("SELECT task_id, try_number FROM task_instance WHERE task_id LIKE 'wait_%'")
    assert attacker.of("_wrong_signature") == {401}
    assert attacker.of("_malformed") == {400}
    assert attacker.of("_replay") == attacker.of("_known_number") == attacker.of("_unknown_number") == {200}
    assert attacker.of("_wrong_secret") == STRANGERS
    assert 200 not in attacker.of("_path_trick")
    assert attacker.of("_large_body") <= {413, None}
    assert attacker.of("_slow_body") == {408}
    woken = len(SHIPMENTS) + 2 * system.watchers  # which check by number and read the list of changes
    assert calls <= woken * ((seconds + 10) / WAKE_SECONDS + 1) + 2, "each wait and watcher at most twice a minute"
    assert growth < MEMORY_BYTES
    assert system.secret not in system.logged()

    system.until(lambda: system.tasks()["wait_left"] == "deferred", "the last wait is not deferred")
    system.sandbox.add_event(*LEFT_WAITING.values(), "Delivered", status="delivered")
    system.until(lambda: system.tasks()["wait_left"] == "success", "a true webhook does not work any more")
