"""Set a separate AIRFLOW_HOME before Airflow is imported, so that no test reads or changes the user's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.slack_webhook import SlackWebhook, slack_webhook
from tests.warm_airflow import WarmAirflow

_home = tempfile.mkdtemp(prefix="airflow-of-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["TRACKINGMORE_PACING_DIR"] = os.path.join(_home, "pacing")  # not the user's, nor another worker's

if not os.environ.get("CI"):  # in CI, Hypothesis itself allows for slow machines
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def warm_airflow() -> Iterator[WarmAirflow]:
    """Runs programs in processes that have imported Airflow already."""
    with WarmAirflow() as running:
        yield running


@pytest.fixture(scope="session")
def airflow_database(warm_airflow: WarmAirflow) -> None:
    """Create the tables in the database of this process's Airflow."""
    done = warm_airflow.run("-m", "airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout


@pytest.fixture
def slack() -> Iterator[SlackWebhook]:
    """A stand-in for Slack that keeps the texts posted to it."""
    with slack_webhook() as webhook:
        yield webhook
