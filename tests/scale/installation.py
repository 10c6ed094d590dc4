"""A whole Airflow with PostgreSQL, the sandbox and a shop, and one wait in it with everything that people can do to it.

Each DAG has its own account in the sandbox, so that every call of the account is a call of its waits.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import requests

from airflow_provider_trackingmore.sandbox.process import SandboxProcess
from tests.scale.one_wait import POKE_SECONDS, SHOP, TABLES, Mode

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300.0
WITHIN_SECONDS = 600.0
"""The maximum time of any step on a machine that others use too."""
QUIET_POKES = 4
"""For this many intervals, no more calls may be made."""
TRIGGERER_CAPACITY = 100
DELIVERED, EXCEPTION, AS_IT_IS = 4, 7, 8
"""Values of ``status`` in ``PUT /trackings/{carrier_code}/{tracking_number}``."""
_FILE = '''"""A DAG file that a person may change."""

from airflow.providers.common.compat.sdk import dag as _dag

from tests.scale.one_wait import one_wait

one_wait({arguments})
'''


@dataclass(frozen=True, slots=True)
class Task:
    """One task instance.

    :param key: Airflow's id of this try.
    :param triggerer: the triggerer that has its trigger; None if none has.
    """

    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    key: str
    trigger: int | None
    triggerer: int | None


class Installation:
    """Everything that runs.

    :param airflow: Airflow's components.
    :param database: Airflow's database.
    :param sandbox: the vendor.
    :param folder: where the files are: ``dags``, ``shop.db``.
    :param accounts: DAG -> index of its account.
    """

    def __init__(
        self, airflow: Any, database: Any, sandbox: SandboxProcess, folder: Path, accounts: Mapping[str, int]
    ) -> None:
        self.airflow = airflow
        self.sandbox = sandbox
        self.folder = folder
        self.accounts = accounts
        self._database = psycopg2.connect(f"postgresql{database.address}", connect_timeout=30)
        self._database.autocommit = True
        self._alone = threading.Lock()
        self._api = threading.BoundedSemaphore(4)
        self._seen: tuple[float, list[tuple[Any, ...]]] = (0.0, [])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query Airflow's database."""
        with self._alone, self._database.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call Airflow's public API."""
        with self._api:
            answer: dict[str, Any] = self.airflow.call(method, path, body)
            return answer

    def tasks(self, dag_id: str, *, at_once: bool = False) -> list[Task]:
        """Return the task instances of a DAG, at most half a second old, since dozens of waits are tested at once."""
        seen, found = self._seen
        if at_once or time.monotonic() > seen + 0.5:
            found = self.rows(
                "SELECT dag_id, run_id, task_id, map_index, state, try_number, task_instance.id, trigger_id,"
                " triggerer_id FROM task_instance LEFT JOIN trigger ON trigger.id = trigger_id"
                " ORDER BY run_id, task_id, map_index"
            )
            self._seen = time.monotonic(), found
        return [Task(*row[1:6], str(row[6]), *row[7:]) for row in found if row[0] == dag_id]

    def shop(self, query: str) -> list[tuple[Any, ...]]:
        """Query the shop's database."""
        with closing(sqlite3.connect(self.folder / "shop.db", timeout=60)) as database, database:
            return database.execute(query).fetchall()

    def close(self) -> None:
        """Disconnect from the database."""
        self._database.close()


class Wait:
    """A DAG with one wait, and what people do to it through Airflow's public API.

    :param place: where it runs.
    :param dag_id: the DAG.
    :param mode: how it waits.
    """

    def __init__(self, place: Installation, dag_id: str, mode: Mode) -> None:
        self.place = place
        self.dag_id = dag_id
        self.mode = mode
        self.account = place.accounts[dag_id]
        self.poke_seconds = POKE_SECONDS[mode]
        self.waiting_state = "up_for_reschedule" if mode == "reschedule" else "deferred"
        self.began = time.monotonic()

    def echo(self, text: str) -> None:
        """Print what was measured."""
        print(f"[{time.monotonic() - self.began:5.1f} s] {self.dag_id}: {text}", flush=True)

    def number(self, parcel: str = "A") -> str:
        """The tracking number of a parcel; it stays in transit until somebody delivers it."""
        return number_of(self.dag_id, parcel)

    # Current state ----------------------------------------------------------------------------------------------------

    def tasks(self, run_id: str | None = None, task_id: str = "wait", *, at_once: bool = False) -> list[Task]:
        """Return the instances of a task."""
        found = self.place.tasks(self.dag_id, at_once=at_once)
        return [task for task in found if task.task_id == task_id and run_id in (None, task.run_id)]

    def run_state(self, run_id: str) -> str | None:
        """Return the state of a run; None if there is no such run."""
        found = self.place.rows(f"SELECT state FROM dag_run WHERE dag_id = '{self.dag_id}' AND run_id = '{run_id}'")
        return str(found[0][0]) if found else None

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls of its waits so far, without the test's own changes."""
        return self.place.sandbox.calls("GET", account=self.account)

    def asked_for(self, parcel: str) -> int:
        """Return how many calls have named a parcel."""
        return sum(self.number(parcel) in call["query"].get("numbers", "") for call in self.calls())

    def visits(self) -> list[str | None]:
        """Return what each run of the ``close`` task received, in order."""
        found = self.place.shop(f"SELECT received FROM visits WHERE dag_id = '{self.dag_id}' ORDER BY rowid")
        return [received for (received,) in found]

    def changes(self) -> list[tuple[str, str]]:
        """Return the orders that were changed, and their new status, for each change."""
        return self.place.shop(
            f"SELECT * FROM changes WHERE order_id LIKE '{number_of(self.dag_id, '')}%' ORDER BY rowid"
        )

    def closed(self, *parcels: str) -> list[tuple[str, str]]:
        """Return what :meth:`changes` returns if each of these orders was closed once."""
        return [(self.number(parcel), "closed") for parcel in parcels]

    def until(
        self, condition: Callable[[], Any], what: str, within: float = WITHIN_SECONDS, every: float = 0.5
    ) -> float:
        """Wait until a condition is true.

        :return: how many seconds it took.
        """
        began = time.monotonic()
        while not condition():
            self.place.airflow.check()
            assert time.monotonic() < began + within, f"{what}: not within {within:.0f} s\n{self.where()}"
            time.sleep(every)
        return time.monotonic() - began

    def where(self) -> str:
        """Describe the state of everything of this DAG."""
        tasks = self.place.tasks(self.dag_id, at_once=True)
        runs = self.place.rows(f"SELECT run_id, state FROM dag_run WHERE dag_id = '{self.dag_id}'")
        calls = [f"{call['path']} {call['query']}" for call in self.calls()[-5:]]
        logs = sorted((self.place.folder / "airflow" / "logs" / f"dag_id={self.dag_id}").rglob("*.log*"))
        ends = [f"--- {file.name} of {file.parent.name}\n{file.read_text(errors='replace')[-3000:]}" for file in logs]
        return "\n".join(
            map(str, [*runs, *tasks, f"visits {self.visits()}", f"changes {self.changes()}", *calls, *ends])
        )

    def until_waiting(self, run_id: str, *, other_than: Sequence[Task] = ()) -> Task:
        """Wait until the task waits: in a triggerer that has checked, or in reschedule mode after a check.

        :param other_than: tries that do not count.
        """
        keys = {task.key for task in other_than}

        def waits() -> bool:
            found = [task for task in self.tasks(run_id) if task.key not in keys]
            states = {task.state for task in found}
            assert not states & {"failed", "success", "skipped", "up_for_retry"}, f"the wait is over\n{self.where()}"
            held = self.mode == "reschedule" or all(task.triggerer is not None for task in found)
            return states == {self.waiting_state} and held

        self.until(waits, "the task waits")
        if self.mode != "reschedule":
            self.until_asked()
        return self.tasks(run_id)[0]

    def until_asked(self) -> None:
        """Wait until another call is made."""
        before = len(self.calls())
        self.until(lambda: len(self.calls()) > before, "the wait asks")

    def until_asked_for(self, parcel: str, times: int) -> None:
        """Wait until a wait that continues has requested a parcel this many times more."""
        before = self.asked_for(parcel)

        def asked() -> bool:
            states = {task.state for task in self.tasks()}
            assert not states & {"failed", "success", "skipped", "up_for_retry"}, f"the wait is over\n{self.where()}"
            return self.asked_for(parcel) >= before + times

        self.until(asked, f"parcel {parcel} is asked for")

    def until_run(self, run_id: str, state: str) -> float:
        """Wait until a run has ended in the expected state."""

        def ended() -> bool:
            found = self.run_state(run_id)
            assert found in ("queued", "running", state), f"the run is {found}, not {state}\n{self.where()}"
            return found == state

        return self.until(ended, f"the run is a {state}")

    def until_task(self, run_id: str, state: str, task_id: str = "wait") -> float:
        """Wait until a task has a state."""
        return self.until(
            lambda: {task.state for task in self.tasks(run_id, task_id)} == {state}, f"the task {task_id} is {state}"
        )

    def assert_nothing_asks(self, since: float, done: str) -> None:
        """Check that nothing is left behind: no trigger, and no further calls.

        :param since: when the wait was ended, in Unix seconds.
        :param done: what ended it.
        """
        self.until(lambda: all(task.trigger is None for task in self.tasks()), "the trigger is gone")
        gone = time.time() - since
        time.sleep(2 * self.poke_seconds)  # the triggerer itself may take a moment
        before = self.calls()
        time.sleep(QUIET_POKES * self.poke_seconds)
        after = self.calls()
        late = [call for call in before if call["real"] > since]
        last = f", the last after {late[-1]['real'] - since:.1f} s" if late else ""
        self.echo(f"{len(late)} calls after {done}{last}; no trigger after {gone:.1f} s")
        assert after == before, f"it is still asked after {done}\n{self.where()}"

    # What people do ---------------------------------------------------------------------------------------------------

    def begin(self) -> str:
        """Start a run.

        :return: its id.
        """
        run: str = self.place.call("POST", f"dags/{self.dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run

    def clear(self, run_id: str, *, downstream: bool = False) -> None:
        """Clear the wait."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["wait"], "only_failed": False}
        self.place.call("POST", f"dags/{self.dag_id}/clearTaskInstances", {**body, "include_downstream": downstream})

    def mark(self, run_id: str, state: str) -> None:
        """Mark the wait."""
        self.place.call("PATCH", f"dags/{self.dag_id}/dagRuns/{run_id}/taskInstances/wait", {"new_state": state})

    def mark_run(self, run_id: str, state: str) -> None:
        """Mark the run."""
        self.place.call("PATCH", f"dags/{self.dag_id}/dagRuns/{run_id}", {"state": state})

    def delete(self, run_id: str) -> None:
        """Delete the run."""
        self.place.call("DELETE", f"dags/{self.dag_id}/dagRuns/{run_id}")

    def pause(self, paused: bool) -> None:
        """Pause the DAG, or let it go on."""
        self.place.call("PATCH", f"dags/{self.dag_id}", {"is_paused": paused})

    def change_file(self, **arguments: Any) -> None:
        """Change the arguments in the DAG's file, and wait until Airflow has read it."""
        parsed = f"SELECT last_parsed_time FROM dag WHERE dag_id = '{self.dag_id}'"
        before = self.place.rows(parsed)
        token = self.place.call("GET", f"dags/{self.dag_id}")["file_token"]
        write_file(self.place.folder / "dags", self.dag_id, self.mode, **arguments)
        self.place.call("PUT", f"parseDagFile/{token}")
        took = self.until(lambda: self.place.rows(parsed) > before, "Airflow knows the changed DAG", every=1)
        self.echo(f"Airflow knows the changed DAG after {took:.1f} s")

    def set_status(self, status: int, *parcels: str) -> None:
        """Set the status of parcels at the vendor."""
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Trackingmore-Api-Key"] = self.place.sandbox.api_keys[self.account]
            for parcel in parcels:
                url = f"{self.place.sandbox.base_url}/trackings/usps/{self.number(parcel)}"
                answer = session.put(url, json={"status": status}, timeout=60)
                assert answer.json()["meta"]["code"] == 200, answer.text

    def deliver(self, *parcels: str) -> None:
        """Deliver parcels; A by default."""
        self.set_status(DELIVERED, *parcels or "A")

    def kill_worker_after_the_wait_began(self, run_id: str) -> bool:
        """Kill the worker's processes as soon as the task waits according to the database.

        :return: False if they had already ended.
        """
        found: list[psutil.Process] = []

        def runs() -> bool:
            for task in self.tasks(run_id, at_once=True):
                assert task.state != self.waiting_state, "the worker was not found in time"
                wanted = f"airflow worker -- LocalExecutor: {task.key}"
                found.extend(process for process in psutil.process_iter() if title(process) == wanted)
            return bool(found)

        self.until(runs, "a worker runs the task", every=0.05)
        worker, name = found[0], title(found[0])
        self.until(lambda: self.tasks(run_id, at_once=True)[0].state == self.waiting_state, "it waits", every=0.01)
        worker.suspend()
        still_there = title(worker) == name
        if still_there:
            for process in [*worker.children(recursive=True), worker]:
                process.kill()
        else:
            worker.resume()
        return still_there


def title(process: psutil.Process) -> str:
    """Return the title of a process."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def number_of(dag_id: str, parcel: str) -> str:
    """Return the tracking number of a parcel of a DAG."""
    return f"SBX-STUCK-{dag_id.replace('_', '-').upper()}-{parcel}"


def write_file(folder: Path, dag_id: str, mode: Mode, parcels: Sequence[str] = ("A",), **arguments: Any) -> None:
    """Write a DAG file atomically.

    :param parcels: one string for each task: its parcels, a letter each.
    """
    numbers = [[number_of(dag_id, parcel) for parcel in own] for own in parcels]
    given = [repr(dag_id), repr(mode), repr(numbers), *(f"{name}={value!r}" for name, value in arguments.items())]
    file = folder / f"{dag_id}.py"
    aside = file.with_suffix(".new")
    aside.write_text(_FILE.format(arguments=", ".join(given)))
    aside.replace(file)


@contextmanager
def installed(folder: Path, dags: Mapping[str, tuple[Mode, Mapping[str, Any]]]) -> Iterator[Installation]:
    """Run everything, with all DAGs known.

    :param folder: for all files.
    :param dags: DAG -> its mode, and the arguments of :func:`write_file`.
    """
    from demo.components import Airflow
    from tests.scale.postgres import Postgres

    (folder / "dags").mkdir()
    accounts = {dag_id: index for index, dag_id in enumerate(dags)}
    parcels = "ABCDEFGHIJ"
    with closing(sqlite3.connect(folder / "shop.db")) as shop, shop:
        shop.executescript(TABLES)
        numbers = [(number_of(dag_id, parcel),) for dag_id in dags for parcel in parcels]
        shop.executemany("INSERT INTO orders VALUES (?, 'open')", numbers)
    with ExitStack() as stack:
        keys = [secrets.token_hex(20) for _ in dags]
        sandbox = stack.enter_context(SandboxProcess(api_keys=keys, no_limits=True))
        connections = {}
        for dag_id, (mode, arguments) in dags.items():
            write_file(folder / "dags", dag_id, mode, **arguments)
            own = [{"carrier_code": "usps", "tracking_number": number_of(dag_id, parcel)} for parcel in parcels]
            sandbox.seed(shipments=own, account=accounts[dag_id])
            connections[f"AIRFLOW_CONN_{dag_id.upper()}"] = json.dumps(sandbox.connection_for(accounts[dag_id]))
        database = stack.enter_context(Postgres())
        settings = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",  # a changed file is read on request
            "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{database.address}",
            "AIRFLOW__TRIGGERER__CAPACITY": str(TRIGGERER_CAPACITY),
            SHOP: str(folder / "shop.db"),
            "TRACKINGMORE_PACING_DIR": str(folder / "pacing"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **connections,
        }
        log = stack.enter_context((folder / "log").open("w"))
        airflow = stack.enter_context(Airflow(folder / "airflow", log, settings))
        for dag_id in dags:
            airflow.wait_for_dag(dag_id, START_SECONDS)
        place = Installation(airflow, database, sandbox, folder, accounts)
        stack.callback(place.close)
        yield place
