"""The shop's database, and a way to run an example DAG as `airflow dags test` does."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from demo import shop
from tests.warm_airflow import WarmAirflow

ROOT = Path(__file__).resolve().parents[2]
A_DAY_A_SECOND = 86_400.0

PEOPLE = {
    "customer_name": "Hildegard Aldringham",
    "customer_email": "h.aldringham@mail.example",
    "customer_phone": "+4915550172840",
    "title": "trumpet for Hildegard",
}
PERSONAL_TEXTS = ["Hildegard", "ldringham", "15550172840", "trumpet"]


def files_holding(folder: Path, *wanted: str) -> list[str]:
    """Which files of a folder hold one of these texts, in their bytes or their names."""
    found = []
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it is gone meanwhile
            content = str(file).encode() + (file.read_bytes() if file.is_file() else b"")
            found += [str(file.relative_to(folder))] if any(text.encode() in content for text in wanted) else []
    return found


def wait_until(condition: Callable[[], object], airflow: Any, seconds: float = 180) -> None:
    """Wait until a condition is true, while all components of Airflow run."""
    deadline = time.monotonic() + seconds
    while not condition():
        airflow.check()
        assert time.monotonic() < deadline, f"{airflow.tail('triggerer')}\n{airflow.tail('scheduler')}"
        time.sleep(0.3)


class Shop:
    """The shop's database, which also remembers each change to an order."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def fill(self, *parcels: tuple[str, str, str]) -> None:
        shop.make_database(self.file, [dict(zip(shop.COLUMNS, parcel, strict=True)) for parcel in parcels])
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute("CREATE TABLE changes (order_id TEXT, status TEXT)")
            database.execute(
                "CREATE TRIGGER remember AFTER UPDATE ON orders"
                " BEGIN INSERT INTO changes VALUES (new.order_id, new.status); END"
            )

    def orders(self) -> dict[str, shop.Order]:
        return {order.order_id: order for order in shop.orders(self.file)}

    def changes(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.file)) as database:
            return database.execute("SELECT order_id, status FROM changes ORDER BY order_id").fetchall()


@pytest.fixture
def the_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    file = tmp_path / "orders.db"
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_DB", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    return Shop(file)


@pytest.fixture
def fast_sandbox(trackingmore_sandbox: SandboxProcess) -> SandboxProcess:
    trackingmore_sandbox.set_time_scale(A_DAY_A_SECOND)
    return trackingmore_sandbox


@pytest.fixture
def run_dag(airflow_database: None, warm_airflow: WarmAirflow) -> Callable[..., str]:
    def run(dag_id: str, dags_folder: Path, *more: str) -> str:
        """Returns the log; raises, with the log, unless the run is a success."""
        folder = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder)}
        result = warm_airflow.run("-m", "airflow", "dags", "test", dag_id, *more, environment=folder)
        assert result.returncode == 0, result.stdout
        return result.stdout

    return run


@pytest.fixture
def run_order_closing(run_dag: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("ORDER_CLOSING_POKE_INTERVAL", "0.3")
    monkeypatch.setenv("ORDER_CLOSING_TIMEOUT", "6")
    return lambda *more: run_dag("order_closing", ROOT / "example_dags", *more)


class Run:
    """What came of the newest run of an example DAG.

    :param dag_id: the DAG.
    :param log: everything that was logged.
    """

    def __init__(self, dag_id: str, log: str) -> None:
        self.log = log
        with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
            newest = "run_id = (SELECT run_id FROM dag_run WHERE dag_id = ?1 ORDER BY id DESC LIMIT 1) AND dag_id = ?1"
            tasks = database.execute(f"SELECT task_id, state FROM task_instance WHERE {newest}", (dag_id,))
            self.states: dict[str, str] = dict(tasks.fetchall())
            values = database.execute(
                f"SELECT task_id, value FROM xcom WHERE key = 'return_value' AND {newest}", (dag_id,)
            )
            self.returned: dict[str, Any] = {task: decode_xcom(value) for task, value in values.fetchall()}


def decode_xcom(stored: str | bytes | float) -> Any:
    """An XCom as Airflow 2.11 stores it, or 3, which makes JSON of it twice; SQLite makes a number of a number."""
    value = json.loads(stored) if isinstance(stored, str | bytes) else stored
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[", '"') else value


RunExample = Callable[..., Run]


@pytest.fixture
def run_example(run_dag: Callable[..., str]) -> RunExample:
    def run(dag_id: str, date: str | None = None, **params: Any) -> Run:
        more = ["--conf", json.dumps(params)] if params else []
        log = run_dag(dag_id, ROOT / "example_dags", *more, *([date] if date else []))
        return Run(dag_id, log)

    return run


@pytest.fixture
def still_sandbox(trackingmore_sandbox: SandboxProcess) -> SandboxProcess:
    """Its clock shows the real time and stands."""
    trackingmore_sandbox.reset(start=datetime.now(UTC).isoformat(timespec="seconds"))
    trackingmore_sandbox.freeze()
    return trackingmore_sandbox
