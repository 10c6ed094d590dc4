"""Ask Airflow's API server for the page as users of the FAB auth manager. Run by ``test_page_fab.py``; prints JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

ROLES = ("Admin", "Op", "User", "Viewer", "Public", "Planner", "Reader")
"""``Planner`` may see the views of plugins, task instances, and the DAG ``orders``. ``Reader`` lacks task instances."""
DAGS = ("orders", "of_another_team")


def main() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    from benchmarks import deferred_rows

    shipment = {"carrier_code": "usps", "tracking_number": "SHARED-NUMBER"}
    deferred_rows.insert([deferred_rows.Row(dag_id, wait={"shipments": [shipment]}) for dag_id in DAGS])
    with TestClient(create_app("core")) as client:
        tokens = {role: token_of(role) for role in ROLES}
        answers = {
            role: {name: ask(client, token, path) for name, path in PATHS.items()} for role, token in tokens.items()
        }
    print("ANSWERS", json.dumps(answers))


PATHS = {
    "page": "",
    "waits": "api/waits",
    "found": "api/waits?search=shared-number",
    "own": f"api/wait?dag_id={DAGS[0]}&task_id=wait&run_id=manual__2026-11-29T08:00:00%2B00:00",
    "others": f"api/wait?dag_id={DAGS[1]}&task_id=wait&run_id=manual__2026-11-29T08:00:00%2B00:00",
    "accounts": "api/accounts",
    "lanes": "api/lanes",
}


def ask(client: Any, token: str, path: str) -> list[Any]:
    answer = client.get(f"/trackingmore/page/{path}", headers={"Authorization": f"Bearer {token}"})
    is_json = answer.headers["content-type"] == "application/json"
    return [answer.status_code, answer.json() if is_json else None]


def token_of(role: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.providers.fab.www.security import permissions

    manager: Any = get_auth_manager()
    security = manager.security_manager
    if role in ("Planner", "Reader"):
        resources = [permissions.RESOURCE_PLUGIN, permissions.resource_name(DAGS[0], permissions.RESOURCE_DAG)]
        if role == "Planner":
            resources += [permissions.RESOURCE_DAG_RUN, permissions.RESOURCE_TASK_INSTANCE]
        for resource in resources:
            permission = security.create_permission(permissions.ACTION_CAN_READ, resource)
            security.add_permission_to_role(security.find_role(role) or security.add_role(role), permission)
    name = role.lower()
    role_of_user = security.find_role(role)
    user = security.add_user(name, name, "test", f"{name}@example.com", role_of_user, hashed_password="none")
    return str(manager.generate_jwt(user))


if __name__ == "__main__":
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    main()
