"""The policy's decision for each failure, and its use by Airflow: in a DAG, after serialization, in a worker."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.exceptions import LoadConflictError, LoadDatabaseError, LoadStateError
from airflow_provider_trackingmore.operators.account import GetAccountOperator
from airflow_provider_trackingmore.operators.trackings import DeleteTrackingsOperator
from airflow_provider_trackingmore.retry_policies import TRACKINGMORE_RETRY_POLICY, TrackingMoreRetryPolicy

HAS_POLICIES = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 3)
with_policies = pytest.mark.skipif(not HAS_POLICIES, reason="Airflow has retry policies since 3.3")
DEFAULT, FAIL, RETRY = "default", "fail", "retry"


def rate_limit(**given: Any) -> errors.RateLimitError:
    return errors.RateLimitError("too fast", code=429, **given)


def test_the_policy_exists_if_airflow_has_policies() -> None:
    assert (TRACKINGMORE_RETRY_POLICY is not None) == HAS_POLICIES


def test_default_args_with_the_policy_work_in_every_airflow() -> None:
    with DAG(
        "d",
        start_date=pendulum.datetime(2026, 1, 1),
        schedule=None,
        default_args={"retries": 3, "retry_policy": TRACKINGMORE_RETRY_POLICY},
    ):
        task = GetAccountOperator(task_id="t")
    assert task.retries == 3
    assert getattr(task, "retry_policy", None) is TRACKINGMORE_RETRY_POLICY


@with_policies
@pytest.mark.parametrize(
    ("failure", "action", "seconds"),
    [
        (errors.AuthenticationError("wrong key", code=4001), FAIL, None),
        (errors.InvalidRequestError("bad request", code=4012), FAIL, None),
        (errors.InvalidArgumentError("shipments must be a list"), FAIL, None),
        (errors.QuotaExceededError("used up", code=4021), FAIL, None),
        (errors.TrackingNotFoundError("not registered", code=4031), FAIL, None),
        (errors.TLSError("certificate"), FAIL, None),
        (rate_limit(), DEFAULT, None),
        (rate_limit(retry_after=7.0), RETRY, 7),
        (rate_limit(retry_after=300.0), RETRY, 300),
        (errors.ServiceUnavailableError("down", code=503, retry_after=45.0), RETRY, 45),
        (errors.ServiceUnavailableError("down", code=503), DEFAULT, None),
        (errors.ServerError("broken", code=500), DEFAULT, None),
        (errors.ConnectError("refused"), DEFAULT, None),
        (errors.ResponseLostError("reset"), DEFAULT, None),
        (errors.MalformedResponseError("html"), DEFAULT, None),
        (LoadDatabaseError("another transaction was in the way"), DEFAULT, None),
        (LoadConflictError("another load was faster"), DEFAULT, None),
        (LoadStateError("damaged"), FAIL, None),
        (errors.TrackingMoreError("The wait failed in the triggerer"), DEFAULT, None),
        (ValueError("a bug"), DEFAULT, None),
        (KeyboardInterrupt(), DEFAULT, None),
    ],
    ids=repr,
)
def test_each_failure_is_retried_or_not_as_its_error_says(
    failure: BaseException, action: str, seconds: float | None
) -> None:
    from airflow.sdk.execution_time.task_runner import _evaluate_retry_policy

    log: Any = SimpleNamespace(info=lambda *_, **__: None)
    task = GetAccountOperator(task_id="t", retry_policy=TRACKINGMORE_RETRY_POLICY)
    ti: Any = SimpleNamespace(task=task, try_number=1, _ti_context_from_server=SimpleNamespace(max_tries=3))
    decision = _evaluate_retry_policy(ti, failure, log)  # what the worker calls
    assert decision is not None
    assert decision.action.value == action
    assert decision.retry_delay == (None if seconds is None else timedelta(seconds=seconds))
    assert (decision.reason is not None) == (action != DEFAULT)
    if str(failure):
        assert str(failure) not in (decision.reason or ""), "the reason is stored"


@with_policies
def test_every_final_error_fails_at_once() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TrackingMoreError)
    ]
    kinds.remove(errors.TrackingMoreError)  # says nothing about retries
    assert len(kinds) > 15
    for kind in kinds:
        assert TRACKINGMORE_RETRY_POLICY is not None
        decision = TRACKINGMORE_RETRY_POLICY.evaluate(kind("message"), 1, 3)
        assert (decision.action.value == FAIL) == (kind.retry is errors.Retry.NEVER), kind


@with_policies
def test_a_dag_with_the_policy_survives_serialization() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("d", start_date=pendulum.datetime(2026, 1, 1), schedule=None) as dag:
        GetAccountOperator(task_id="plain", retry_policy=TRACKINGMORE_RETRY_POLICY)
        DeleteTrackingsOperator.partial(task_id="mapped", retry_policy=TRACKINGMORE_RETRY_POLICY).expand(
            shipments=[[], []]
        )
        GetAccountOperator(task_id="without")
    read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert {name: read.get_task(name).has_retry_policy for name in ("plain", "mapped", "without")} == {
        "plain": True,
        "mapped": True,
        "without": False,
    }


@with_policies
def test_the_policy_survives_serialization() -> None:
    assert TRACKINGMORE_RETRY_POLICY is not None
    stored = json.loads(json.dumps(TRACKINGMORE_RETRY_POLICY.serialize()))
    assert type(TrackingMoreRetryPolicy.deserialize(stored)) is TrackingMoreRetryPolicy
    assert stored == {"__type": "airflow_provider_trackingmore.retry_policies.TrackingMoreRetryPolicy"}


def test_the_module_can_be_imported_without_policies() -> None:
    script = (
        "import sys; sys.modules['airflow.sdk.definitions.retry_policy'] = None;"
        "import airflow_provider_trackingmore.retry_policies as it; print(it.TRACKINGMORE_RETRY_POLICY)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, cwd=root)
    assert done.stdout.splitlines()[-1:] == ["None"], done.stderr
