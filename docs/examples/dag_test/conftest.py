"""Give the tests an Airflow of their own: its home, its database, and our DAGs folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# Airflow reads these when it is imported, so they have to be set before any test is.
HOME = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = HOME.name
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "dags")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="session", autouse=True)
def airflow_database():
    """Create Airflow's tables, in SQLite."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)


@pytest.fixture
def fast_sandbox(trackingmore_sandbox):
    """Run the sandbox's clock at a day per second; dag.test() leaves no time to move it."""
    trackingmore_sandbox.set_time_scale(86_400)
    return trackingmore_sandbox
