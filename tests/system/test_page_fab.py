"""Who sees what on the page with the FAB auth manager, which knows permissions for single DAGs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(tuple(map(int, __version__.split(".")[:2])) < (3, 1), reason="pages exist from Airflow 3.1 on"),
]
ROOT = Path(__file__).parents[2]
MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if importlib.util.find_spec("airflow.providers.fab") is None:
        pytest.skip("the FAB auth manager is not installed: apache-airflow-providers-fab, in the group fab")
    settings = {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("fab")),
        "AIRFLOW__CORE__AUTH_MANAGER": MANAGER,
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of these tests" * 3,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(Path(__file__).with_name("page_with_fab.py"))]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5_000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
    return found


@pytest.mark.parametrize("role", ["User", "Viewer", "Public"])
def test_roles_without_the_permission_to_read_plugins_see_nothing(answers: dict[str, Any], role: str) -> None:
    """Of FAB's own roles only Op and Admin have it."""
    for status, body in answers[role].values():
        assert status == 403
        assert "views of plugins" in body["detail"]["hint"]


@pytest.mark.parametrize("role", ["Op", "Admin"])
def test_roles_that_may_read_all_dags_see_all_waits(answers: dict[str, Any], role: str) -> None:
    assert answers[role]["page"][0] == 200
    assert answers[role]["waits"][1]["all"] == 2
    assert answers[role]["accounts"][0] == 200
    assert answers[role]["lanes"] == [200, {"configured": False}]


def test_a_role_with_one_dag_sees_that_dag_alone(answers: dict[str, Any]) -> None:
    for name in ("waits", "found"):
        status, found = answers["Planner"][name]
        assert (status, found["all"], found["total"]) == (200, 1, 1)
        assert [wait["dag_id"] for wait in found["waits"]] == ["orders"]
    assert "of_another_team" not in json.dumps(answers["Planner"])


def test_another_teams_task_is_not_there(answers: dict[str, Any]) -> None:
    assert answers["Planner"]["own"][0] == 200
    assert answers["Planner"]["others"][0] == 404
    assert answers["Admin"]["others"][0] == 200


def test_a_role_that_may_not_read_task_instances_sees_no_wait(answers: dict[str, Any]) -> None:
    assert answers["Reader"]["page"][0] == 200
    assert answers["Reader"]["waits"][1]["all"] == 0
    assert answers["Reader"]["own"][0] == 404
