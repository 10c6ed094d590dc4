"""Connect to the Redis server that the ``pacing`` setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.errors import InvalidSettingsError

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

KEY_PREFIX = "airflow-provider-trackingmore"
"""The start of every key's name."""
REDIS_TIMEOUT_SECONDS = 1.0
"""For connecting, and for each response. While a Redis server hangs, each host delays one call every five seconds."""


def connect_redis(url: str) -> tuple[Redis, type[Exception]]:
    """Create a client for a Redis server. It connects when it is used.

    :param url: ``redis://``, ``rediss://`` or ``unix://``. A password in it is not part of any message.
    :return: the client, and the base class of its errors.
    :raises InvalidSettingsError: if the ``redis`` package is not installed or rejects the URL.
    """
    error = _import_redis()
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # Retry once on a new connection, since an idle one may have been closed; never after a timeout.
    retry = Retry(NoBackoff(), 1, (_connection_error(),))
    return _from_url(Redis, url, REDIS_TIMEOUT_SECONDS, retry), error


def connect_redis_async(url: str, *, block_seconds: float) -> tuple[AsyncRedis, type[Exception]]:
    """Create a client like :func:`connect_redis` for an event loop.

    :param url: as there.
    :param block_seconds: how long a command may block, in seconds.
    :return: the client, and the base class of its errors.
    :raises InvalidSettingsError: as there.
    """
    error = _import_redis()
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # The caller retries.
    return _from_url(Redis, url, REDIS_TIMEOUT_SECONDS + block_seconds, Retry(NoBackoff(), 0)), error


def decode_text(value: bytes | str) -> str:
    """Return a text that Redis has sent, which is bytes unless the URL asks for decoded responses."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _import_redis() -> type[Exception]:
    try:
        import redis
    except ModuleNotFoundError:
        raise InvalidSettingsError(
            "the redis package, which pacing needs here, is not installed: "
            "pip install 'airflow-provider-trackingmore[redis]'"
        ) from None
    return redis.RedisError


def _connection_error() -> type[Exception]:
    import redis

    return redis.ConnectionError


def _from_url(kind: Any, url: str, timeout: float, retry: object) -> Any:
    try:
        return kind.from_url(url, socket_timeout=timeout, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, retry=retry)
    except (ValueError, TypeError):  # the text of the error may contain parts of the URL
        pass
    raise InvalidSettingsError("pacing is not a valid Redis URL")
