"""The same attack where the rate limit is in Redis: pollers are woken instead of tasks, for waits and for a watcher.

`make test-chaos TESTS=tests/chaos/webhook_attack_with_redis.py` runs it.
"""

from __future__ import annotations

from tests.chaos.webhook_attack import test_an_attack_releases_nothing_and_costs_little
from tests.system.test_webhooks_with_redis import pytestmark, redis_server, system

__all__ = ["pytestmark", "redis_server", "system", "test_an_attack_releases_nothing_and_costs_little"]
