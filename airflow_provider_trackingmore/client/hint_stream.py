"""Hints in a Redis stream: the API server writes which shipments webhooks name, and the pollers of every host read it.

An entry has a carrier, a tracking number and a limit, and nothing else of the webhook. Nothing depends on an entry: one
that is lost costs the time until the next ordinary check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.api.validation import check_carrier_code, check_tracking_number
from airflow_provider_trackingmore.client.redis_connection import (
    KEY_PREFIX,
    connect_redis,
    connect_redis_async,
    decode_text,
)

MAX_ENTRIES = 10_000
EXPIRY_SECONDS = 3600
BLOCK_SECONDS = 5.0
"""How long one read waits for entries."""
LISTENING_SECONDS = 30
"""How long a reader counts as listening after its last read."""
ENTRIES_PER_READ = 1000


@dataclass(frozen=True, slots=True)
class ShipmentHint:
    """A shipment that may have changed.

    :param key: the shipment.
    :param per_minute: how many shipments a poller may check in a minute because of hints.
    """

    key: ShipmentKey
    per_minute: int


class HintWriter:
    """Writes the hints of one account. Its methods block.

    :param url: the Redis server.
    :param account: the account's fingerprint.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    def __init__(self, url: str, account: str) -> None:
        self._redis, self._error = connect_redis(url)
        self._stream, self._listening = _redis_keys(account)

    def write(self, hints: Iterable[ShipmentHint]) -> bool:
        """Write hints.

        :param hints: the hints.
        :return: whether they were written and a poller listens. Otherwise waits must be woken in another way.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.exists(self._listening)
        for hint in hints:
            fields: dict[Any, Any] = {
                "carrier_code": hint.key.carrier_code,
                "tracking_number": hint.key.tracking_number,
                "per_minute": str(hint.per_minute),
            }
            pipe.xadd(self._stream, fields, maxlen=MAX_ENTRIES, approximate=True)
        pipe.expire(self._stream, EXPIRY_SECONDS)
        try:
            return bool(pipe.execute()[0])
        except self._error:
            return False


class HintReader:
    """Reads the hints of one account that are written from its first read on.

    :param url: the Redis server.
    :param account: the account's fingerprint.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """

    def __init__(self, url: str, account: str) -> None:
        self._redis, _ = connect_redis_async(url, block_seconds=BLOCK_SECONDS)
        self._stream, self._listening = _redis_keys(account)
        self._last_id: bytes | str | None = None

    async def read(self) -> Sequence[ShipmentHint]:
        """Wait for hints, for some seconds at most.

        :return: the hints.
        :raises Exception: an error of ``redis``, if Redis is unavailable. The next read begins where this one did.
        """
        await self._redis.set(self._listening, 1, ex=LISTENING_SECONDS)
        if self._last_id is None:
            newest: Any = await self._redis.xrevrange(self._stream, count=1)
            self._last_id = newest[0][0] if newest else "0-0"
        answer: Any = await self._redis.xread(
            {self._stream: self._last_id or "0-0"}, count=ENTRIES_PER_READ, block=int(BLOCK_SECONDS * 1000)
        )
        entries = answer[0][1] if answer else []
        if entries:
            self._last_id = entries[-1][0]
        return [hint for _, fields in entries if (hint := _parse(fields)) is not None]

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.connection_pool.disconnect()


def _redis_keys(account: str) -> tuple[str, str]:
    return f"{KEY_PREFIX}:hints:{account}", f"{KEY_PREFIX}:hints:{account}:listening"


def _parse(fields: Mapping[bytes | str, bytes | str]) -> ShipmentHint | None:
    """Parse an entry; None if it is not a hint."""
    texts = {decode_text(name): decode_text(value) for name, value in fields.items()}
    try:
        key = ShipmentKey(
            check_carrier_code(texts.get("carrier_code")), check_tracking_number(texts.get("tracking_number"))
        )
        return ShipmentHint(key, int(texts["per_minute"]))
    except (InvalidArgumentError, KeyError, ValueError):
        return None
