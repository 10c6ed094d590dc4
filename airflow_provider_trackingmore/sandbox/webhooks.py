"""Sends webhooks when a refresh or a carrier changes a shipment (reference 5), and forged ones on request."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .accounts import Account
from .clock import Clock
from .envelope import CODES
from .event_rendering import MILESTONES
from .http_post import post
from .rendering import Renderer
from .shipments import Shipment
from .switches import SwitchPositions
from .webhook_signing import WebhookForm

KEPT_DELIVERIES = 10_000
MAX_RETRIES = 14
FIRST_PAUSE = 60.0
"""Clock seconds before the first retry; each pause is twice as long as the one before."""
_CONCURRENT = 8
_CLOCK_CHECK_SECONDS = 0.02


@dataclass(slots=True, eq=False)
class Delivery:
    """One attempt to deliver a webhook.

    :param serial: number of the attempt since the last reset.
    :param account: the account.
    :param key: carrier code and number in the body.
    :param content: what the body says.
    :param body: the body.
    :param attempt: 1 is the first.
    """

    serial: int
    account: Account
    key: tuple[str, str]
    content: dict[str, Any]
    body: str
    attempt: int = 1
    clock: float = 0.0
    http: int | None = None
    response: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Convert it to a dict.

        :return: the fields; ``http`` None means that there was no response.
        """
        carrier_code, number = self.key
        return {
            "serial": self.serial,
            "account": self.account.index,
            "carrier_code": carrier_code,
            "tracking_number": number,
            "attempt": self.attempt,
            "clock_unix": self.clock,
            "http": self.http,
            "response": self.response,
        }


@dataclass(slots=True)
class _State:
    """What a reset clears."""

    serials: count[int] = field(default_factory=lambda: count(1))
    queue: list[tuple[float, int, Delivery]] = field(default_factory=list)
    changed: dict[Shipment, Account] = field(default_factory=dict)
    log: deque[Delivery] = field(default_factory=lambda: deque(maxlen=KEPT_DELIVERIES))


class Webhooks:
    """Sends webhooks to the URLs of the accounts that have one.

    :param clock: the clock of the sandbox.
    :param switches: the switches.
    """

    def __init__(self, clock: Clock, switches: SwitchPositions) -> None:
        self._clock = clock
        self._switches = switches
        self._accounts: list[Account] = []
        self._state = _State()
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._configured = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self, accounts: list[Account]) -> None:
        """Forget all deliveries, and what would have been sent.

        :param accounts: the accounts from now on.
        """
        self._accounts = accounts
        self._state = _State()
        for account in accounts:
            account.store.on_change = self._listener(account)

    def configure(self, account: Account, url: str) -> None:
        """Set the URL of an account.

        :param account: the account.
        :param url: its URL; empty for none.
        """
        account.webhook_url = url
        self._configured.set()

    def deliveries(self, since: int) -> list[dict[str, Any]]:
        """List the attempts that are complete, in the order of their completion.

        :param since: only those with a higher serial.
        :return: the attempts.
        """
        return [delivery.to_dict() for delivery in self._state.log if delivery.serial > since]

    async def run(self) -> None:
        """Send what is due, until it is cancelled."""
        while True:
            if not any(account.webhook_url for account in self._accounts):
                self._configured.clear()
                await self._configured.wait()
            now = self._clock.now()
            for account in self._accounts:
                if account.webhook_url:
                    account.store.run_due_refreshes(now)
            state = self._state
            changed, state.changed = state.changed, {}
            for shipment, account in changed.items():
                self._enqueue(now, self._compose(account, shipment, now))
            while state.queue and state.queue[0][0] <= now:
                task = asyncio.create_task(self._deliver(heapq.heappop(state.queue)[2]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_CLOCK_CHECK_SECONDS)

    async def send(self, account: Account, key: tuple[str, str]) -> dict[str, Any]:
        """Send the state of a shipment now, although it has not changed.

        :param account: the account.
        :param key: carrier code and number.
        :return: the attempt, which is not retried.
        :raises ValueError: the account has no URL, or no such shipment.
        """
        shipment = account.store.by_key.get(key)
        if shipment is None:
            raise ValueError(f"{key[0]} {key[1]} is not registered")
        return await self._send_once(self._compose(account, shipment, self._clock.now()))

    async def replay(self, account: Account, serial: int) -> dict[str, Any]:
        """Send the body of an earlier attempt again, byte for byte.

        :param account: the account.
        :param serial: the attempt.
        :return: the new attempt, which is not retried.
        :raises ValueError: the account has no URL, or no such attempt.
        """
        earlier = self._find(account, serial)
        delivery = Delivery(next(self._state.serials), account, earlier.key, earlier.content, earlier.body)
        return await self._send_once(delivery)

    async def forge(
        self, account: Account, data: Mapping[str, Any], signature: str, age_seconds: float
    ) -> dict[str, Any]:
        """Send what an attacker may send.

        :param account: the account whose URL is attacked.
        :param data: the ``data``; at least ``carrier_code`` and ``tracking_number``.
        :param signature: ``wrong``; ``captured``: time and signature of the latest attempt; ``right``: the attacker
            knows the e-mail address of the account.
        :param age_seconds: how old the time is, in clock seconds.
        :return: the attempt, which is not retried.
        :raises ValueError: the account has no URL, or nothing has been sent that could have been captured.
        """
        form = WebhookForm(self._switches)
        content = form.content({"code": 200, "type": "Success", "message": "Success"}, dict(data))
        if signature == "captured":
            captured = next((seen for seen in reversed(self._state.log) if seen.account is account), None)
            if captured is None:
                raise ValueError("nothing has been sent yet")
            content = captured.content | {"data": content["data"]}
        else:
            email = account.email if signature == "right" else "stranger@attacker.example"
            content = form.sign(content, email, self._clock.now() - age_seconds)
        key = str(data.get("carrier_code")), str(data.get("tracking_number"))
        return await self._send_once(Delivery(next(self._state.serials), account, key, content, form.encode(content)))

    def _listener(self, account: Account) -> Callable[[Shipment], None]:
        def note(shipment: Shipment) -> None:
            if account.webhook_url:
                self._state.changed[shipment] = account

        return note

    def _find(self, account: Account, serial: int) -> Delivery:
        for delivery in self._state.log:
            if delivery.serial == serial and delivery.account is account:
                return delivery
        raise ValueError(f"the account has no webhook {serial}")

    def _compose(self, account: Account, shipment: Shipment, now: float) -> Delivery:
        item: dict[str, Any] = json.loads(Renderer(self._switches, now, account.store.texts).item(shipment).text)
        for leg in ("origin_info", "destination_info"):
            if isinstance(item.get(leg), dict):
                item[leg] = {name: value for name, value in item[leg].items() if name not in MILESTONES}
        kind, message = CODES[200]
        form = WebhookForm(self._switches)
        content = form.sign(form.content({"code": 200, "type": kind, "message": message}, item), account.email, now)
        return Delivery(next(self._state.serials), account, shipment.key, content, form.encode(content))

    def _enqueue(self, at: float, delivery: Delivery) -> None:
        heapq.heappush(self._state.queue, (at, delivery.serial, delivery))

    async def _send_once(self, delivery: Delivery) -> dict[str, Any]:
        if not delivery.account.webhook_url:
            raise ValueError("the account has no webhook_url")
        await self._post(delivery, self._state)
        return delivery.to_dict()

    async def _deliver(self, delivery: Delivery) -> None:
        state = self._state
        if not delivery.account.webhook_url:
            return
        async with self._slots:
            if state is not self._state:  # reset meanwhile
                return
            await self._post(delivery, state)
        if self._is_success(delivery) or self._switches["webhook_retries"] == "none" or delivery.attempt > MAX_RETRIES:
            return
        now = self._clock.now()
        content, body, form = delivery.content, delivery.body, WebhookForm(self._switches)
        due = now + FIRST_PAUSE * 2 ** (delivery.attempt - 1)
        if self._switches["webhook_retry_time"] == "renewed":
            content = form.sign(content, delivery.account.email, due)
            body = form.encode(content)
        retry = Delivery(
            next(state.serials), delivery.account, delivery.key, content, body, attempt=delivery.attempt + 1
        )
        heapq.heappush(state.queue, (due, retry.serial, retry))

    async def _post(self, delivery: Delivery, state: _State) -> None:
        delivery.clock = self._clock.now()
        delivery.http, delivery.response = await post(delivery.account.webhook_url, delivery.body)
        state.log.append(delivery)

    def _is_success(self, delivery: Delivery) -> bool:
        if self._switches["webhook_success"] == "200-text":
            return delivery.http == 200 and delivery.response.strip() == "200"
        return delivery.http is not None and 200 <= delivery.http < 300
