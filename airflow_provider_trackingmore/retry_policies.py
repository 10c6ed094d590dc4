"""When Airflow should try a task again (Airflow 3.3 and newer). Every error knows it; this only tells Airflow.

On older versions ``TRACKINGMORE_RETRY_POLICY`` is None, and operators have no ``retry_policy``. A DAG for both gives it
in ``default_args``, from which Airflow takes only what its operators have.
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
    """Never retry what cannot get better (a bad key, a bad request); wait for the rest as long as the error says."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide on one failure.

        :param exception: why the task failed.
        :param try_number: which try it was.
        :param max_tries: how many there may be.
        :param context: Airflow task context.
        :return: fail, retry after the error's ``retry_after``, or whatever the task itself says.
        """
        if not isinstance(exception, TrackingMoreError):
            return RetryDecision.default()
        if exception.retry is Retry.NEVER:
            return RetryDecision.fail(f"{type(exception).__name__}: trying again does not help")
        if exception.retry_after:
            return RetryDecision.retry(
                timedelta(seconds=exception.retry_after), f"{type(exception).__name__}: not before the call can succeed"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Name the policy; it has no settings.

        :return: plain JSON.
        """
        return {"__type": f"{type(self).__module__}.{type(self).__qualname__}"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> TrackingMoreRetryPolicy:
        """Make it from what :meth:`serialize` returned.

        :param data: plain JSON.
        :return: the policy.
        """
        return cls()


TRACKINGMORE_RETRY_POLICY: TrackingMoreRetryPolicy | None = (
    TrackingMoreRetryPolicy() if RetryPolicy is not object else None
)
"""For ``retry_policy=`` of any task that talks to TrackingMore, or for a DAG's ``default_args``."""
