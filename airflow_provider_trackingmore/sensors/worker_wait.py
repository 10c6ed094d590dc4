"""A wait on a worker: its checks, what it logs about them, and how it ends."""

from __future__ import annotations

import time

from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_trackingmore.api.errors import TrackingMoreError
from airflow_provider_trackingmore.api.formatting import format_list
from airflow_provider_trackingmore.exceptions import ShipmentsFailedError
from airflow_provider_trackingmore.hooks.batch_log import AirflowLog
from airflow_provider_trackingmore.sensors.checks import check_open_shipments, describe_open_shipments, format_time
from airflow_provider_trackingmore.waiting.condition import Condition
from airflow_provider_trackingmore.waiting.failures import is_final
from airflow_provider_trackingmore.waiting.outcome import Verdict, WaitResult, summary
from airflow_provider_trackingmore.waiting.spec import WaitSpec


class WorkerWait:
    """A wait on a worker, from the start of the task or its resumption to its end or deferral.

    :param spec: what to wait for, and until when.
    :param log: the log of the task.
    :param timeout: the timeout of the task, in seconds.
    :param fails: whether the task fails if shipments fail or do not arrive in time.
    :param logs_next_check: whether to log the time of the next check, which is one ``poke_interval`` later.
    """

    def __init__(self, spec: WaitSpec, log: AirflowLog, *, timeout: float, fails: bool, logs_next_check: bool) -> None:
        self.spec = spec
        self._log = log
        self._timeout = timeout
        self._fails = fails
        self._logs_next_check = logs_next_check
        self._condition = Condition(spec)

    @property
    def is_over(self) -> bool:
        """Whether every order is decided."""
        return self._condition.is_over()

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, or the whole timeout if no deadline is set."""
        return self._timeout if self.spec.deadline is None else max(self.spec.deadline - time.time(), 0.0)

    def check(self, seconds: float, *, only_if_free: bool = False) -> bool:
        """Check the open shipments.

        :param seconds: how long all calls together may wait for the rate limit.
        :param only_if_free: do nothing unless a call can be made immediately.
        :return: whether the check was complete.
        :raises TrackingMoreError: if no later check can succeed, such as for a wrong key.
        """
        from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook

        try:
            with TrackingMoreHook(self.spec.trackingmore_conn_id, wait_until=time.monotonic() + seconds) as hook:
                if only_if_free and not hook.get_conn().is_free():
                    self._log.info("Account is busy; deferring the first check to the triggerer")
                    return False
                check_open_shipments(hook, self._condition)
        except TrackingMoreError as error:
            if is_final(error):
                raise
            self._log.warning("Check failed, the wait continues: %s", error)
            return False
        finally:
            outcomes = self._condition.verdict().outcomes
            self._log.info("Waiting for %s of %d: %s", self.spec.wait_for, len(outcomes), summary(outcomes))
        self._log_open_shipments()
        return True

    def _log_open_shipments(self) -> None:
        """Log which shipments are still open, and the times of the next check and of the deadline."""
        if self.is_over:
            return
        times = []
        deadline = self.spec.deadline
        if self._logs_next_check:
            next_check = time.time() + self.spec.poke_interval
            times.append(f"next check {format_time(next_check if deadline is None else min(next_check, deadline))}")
        if deadline is not None:
            times.append(f"deadline {format_time(deadline)}")
        self._log.info("Still open: %s (%s)", describe_open_shipments(self._condition), ", ".join(times))

    def conclude(self, verdict: Verdict | None = None) -> list[dict[str, object]]:
        """End the wait with a decision.

        :param verdict: the decision of the trigger; None for that of the checks on this worker.
        :return: one dict per shipment or per order, in order.
        :raises ShipmentsFailedError: if shipments have failed and the task fails then.
        """
        verdict = verdict or self._condition.verdict()
        self._log.info("Wait over: %s", summary(verdict.outcomes))
        if verdict.result is WaitResult.FAILED:
            if self._fails:
                raise ShipmentsFailedError(verdict.reason)
            self._log.warning("Not all arrived: %s", verdict.reason)
        return verdict.to_list()

    def time_out(self, verdict: Verdict | None = None) -> list[dict[str, object]]:
        """End the wait at its deadline.

        :param verdict: the state that the trigger reported; None for that of the checks on this worker.
        :return: one dict per shipment or per order, in order.
        :raises AirflowSensorTimeout: naming the shipments, if the task fails then.
        """
        late = (verdict or self._condition.verdict()).at_deadline()
        message = f"Timed out after {self._timeout:.0f} s: {format_list(late.outcomes, separator='; ')}"
        if self._fails:
            raise AirflowSensorTimeout(message)
        self._log.warning("%s", message)
        return late.to_list()
