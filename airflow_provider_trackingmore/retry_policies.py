"""A retry policy for tasks that use TrackingMore (Airflow 3.3 and later), based on what each error says about retries.

On older versions ``TRACKINGMORE_RETRY_POLICY`` is None, and operators have no ``retry_policy``. A DAG for both sets it
in ``default_args``, of which Airflow uses only the arguments that its operators have.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.api.errors import Retry, TrackingMoreError

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
else:
    try:
        from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
    except ImportError:
        RetryPolicy = object
        RetryDecision = None


class TrackingMoreRetryPolicy(RetryPolicy):
    """Do not retry final errors (a wrong key, a bad request). Delay other retries for as long as the error says."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide whether and when a task is retried.

        :param exception: why the task failed.
        :param try_number: the number of the failed try.
        :param max_tries: the maximum number of tries.
        :param context: Airflow task context.
        :return: fail, retry after the error's ``retry_after``, or the task's own settings.
        """
        # The base class alone is how a sensor reports that its wait failed in the triggerer: a retry checks again.
        if not isinstance(exception, TrackingMoreError) or type(exception) is TrackingMoreError:
            return RetryDecision.default()
        if exception.retry is Retry.NEVER:
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would fail in the same way")
        if exception.retry_after:
            return RetryDecision.retry(
                timedelta(seconds=exception.retry_after), f"{type(exception).__name__}: the call cannot succeed earlier"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Serialize the policy, which has no settings.

        :return: plain JSON.
        """
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> TrackingMoreRetryPolicy:
        """Create the policy from what :meth:`serialize` returned.

        :param data: plain JSON.
        :return: the policy.
        """
        return cls()


TRACKINGMORE_RETRY_POLICY: TrackingMoreRetryPolicy | None = (
    TrackingMoreRetryPolicy() if RetryPolicy is not object else None
)
"""For ``retry_policy`` of any task that uses TrackingMore, or for a DAG's ``default_args``."""
