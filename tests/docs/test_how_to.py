"""The examples of the how-to pages run, and do what the pages say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.slack_webhook import SlackWebhook
from tests.warm_airflow import WarmAirflow

from .conftest import EXAMPLES, ROOT, Tasks

HOW_TO = EXAMPLES / "how_to"
START = "2026-03-02T08:00:00+00:00"

RunHowTo = Callable[..., Tasks]


@pytest.fixture(scope="module")
def accounts() -> Iterator[SandboxProcess]:
    """Two accounts, on a clock that runs a day per second."""
    with SandboxProcess(
        api_keys=("key-eu", "key-us"), no_limits=True, start=START, time_scale=86_400, pacing="memory"
    ) as sandbox:
        yield sandbox


@pytest.fixture
def run_how_to(
    accounts: SandboxProcess,
    airflow_database: None,
    warm_airflow: WarmAirflow,
    slack: SlackWebhook,
    tmp_path: Path,
) -> RunHowTo:
    """Run an example with a shorter ``poke_interval``, and return state and result of each of its tasks."""
    accounts.reset()

    def run(name: str) -> Tasks:
        dags = tmp_path / "dags"
        dags.mkdir()
        text = (HOW_TO / f"{name}.py").read_text(encoding="utf-8")
        (dags / f"{name}.py").write_text(text.replace("poke_interval=1800", "poke_interval=0.5"), encoding="utf-8")
        connection = accounts.connection
        variables = {
            "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(connection | {"password": "key-eu"}),
            "AIRFLOW_CONN_TRACKINGMORE_EU": json.dumps(connection | {"password": "key-eu"}),
            "AIRFLOW_CONN_TRACKINGMORE_US": json.dumps(connection | {"password": "key-us"}),
            "AIRFLOW_CONN_SLACK": slack.connection,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        }
        report = tmp_path / "report.json"
        program = str(Path(__file__).with_name("run_examples.py"))
        done = warm_airflow.run(program, str(report), str(dags / f"{name}.py"), environment=variables, cwd=tmp_path)
        assert report.exists(), done.stdout
        found: dict[str, Tasks] = json.loads(report.read_text())
        return found[name]

    return run


def states(tasks: Tasks) -> dict[str, Any]:
    return {task: found["state"] for task, found in tasks.items()}


def test_an_exception_is_posted_to_slack(run_how_to: RunHowTo, slack: SlackWebhook) -> None:
    tasks = run_how_to("alert_on_exception")

    assert states(tasks) == {"register": "success", "wait": "success", "report_problems": "success"}
    assert slack.texts == ["ups SBX-EXCEPTION-1D-LOST: exception"]


def test_a_failed_task_is_posted_to_slack_with_its_reason(
    run_how_to: RunHowTo, slack: SlackWebhook, accounts: SandboxProcess
) -> None:
    accounts.change_account(0, quota=0)

    tasks = run_how_to("alert_on_exception")

    assert states(tasks)["register"] == "failed"
    [text] = slack.texts
    assert text.startswith("alert_on_exception.register failed: ")
    assert "quota" in text


def test_each_account_gets_its_own_parcels(run_how_to: RunHowTo, accounts: SandboxProcess) -> None:
    tasks = run_how_to("two_accounts")

    assert set(states(tasks).values()) == {"success"}
    assert {(index, known["tracking_number"]) for index in (0, 1) for known in accounts.trackings(index)} == {
        (0, "SBX-DELIVERED-1D-EU"),
        (1, "SBX-DELIVERED-1D-US"),
    }


@pytest.mark.parametrize(("quota", "state", "posted"), [(999, "failed", 1), (1000, "success", 0)])
def test_the_quota_alarm_is_raised_below_the_threshold(
    run_how_to: RunHowTo, slack: SlackWebhook, accounts: SandboxProcess, quota: int, state: str, posted: int
) -> None:
    accounts.change_account(0, quota=quota)

    tasks = run_how_to("quota_alarm")

    assert states(tasks) == {"account": "success", "check_quota": state}
    assert slack.texts == ["TrackingMore: 999 units of quota left, fewer than 1000"] * posted


def test_each_day_of_a_backfill_is_one_file(
    accounts: SandboxProcess, airflow_database: None, warm_airflow: WarmAirflow, tmp_path: Path
) -> None:
    accounts.reset(start="2026-03-03T12:00:00+00:00")
    accounts.freeze()
    ages = {"SBX-STUCK-SUNDAY": 50, "SBX-STUCK-MONDAY": 30, "SBX-STUCK-TODAY": 2}  # hours; it is Tuesday noon
    accounts.seed(
        shipments=[{"carrier_code": "dhl", "tracking_number": number, "age_hours": age} for number, age in ages.items()]
    )
    variables = {
        "AIRFLOW_CONN_TRACKINGMORE_DEFAULT": json.dumps(accounts.connection),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOW_TO),
        "HISTORY_FOLDER": str(tmp_path),
    }
    for morning_after in ("2026-03-02", "2026-03-03"):
        done = warm_airflow.run("-m", "airflow", "dags", "test", "load_history", morning_after, environment=variables)
        assert done.returncode == 0, done.stdout

    files = {
        file.name: [json.loads(line)["tracking_number"] for line in file.read_text().splitlines()]
        for file in tmp_path.iterdir()
    }
    assert files == {
        "registered-2026-03-01.ndjson": ["SBX-STUCK-SUNDAY"],
        "registered-2026-03-02.ndjson": ["SBX-STUCK-MONDAY"],
    }


@pytest.mark.slow
def test_the_project_of_the_testing_page_passes_as_it_stands(tmp_path: Path) -> None:
    project = shutil.copytree(EXAMPLES / "dag_test", tmp_path / "project")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTEST_"))}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_every_example_of_the_how_to_pages_is_run() -> None:
    tests = (Path(__file__), ROOT / "tests" / "system" / "test_webhooks.py")
    text = "".join(test.read_text(encoding="utf-8") for test in tests)
    for file in HOW_TO.glob("*.py"):
        assert f'"{file.stem}"' in text or f'"{file.name}"' in text, f"no test runs {file.relative_to(ROOT)}"
