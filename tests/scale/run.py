"""Observe a DAG run with many waits, in Airflow's database and the sandbox's ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from airflow_provider_trackingmore.sandbox.process import SandboxProcess

NOTE = """
CREATE TABLE noted (serial bigserial, what text, task text, map_index int);
CREATE FUNCTION note_state() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted (what, task, map_index) VALUES (NEW.state, NEW.task_id, NEW.map_index); RETURN NULL;
END $$;
CREATE FUNCTION note_result() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted (what, task, map_index) VALUES ('result', NEW.task_id, NEW.map_index); RETURN NULL;
END $$;
CREATE TRIGGER note_state AFTER UPDATE OF state ON task_instance
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_state();
CREATE TRIGGER note_result AFTER INSERT OR UPDATE ON xcom
  FOR EACH ROW WHEN (NEW.key = 'return_value') EXECUTE FUNCTION note_result();
"""


class Run:
    """One run of the DAG."""

    unexpected: frozenset[str] = frozenset({"failed", "up_for_retry", "upstream_failed"})
    """States of tasks that fail the test."""
    shown = ("scheduler", "triggerer")
    """The components whose last log lines are shown when the test fails."""

    def __init__(self, airflow: Any, database: Any, sandbox: SandboxProcess, waits: int, dag_id: str) -> None:
        self.airflow = airflow
        self.database = database
        self.sandbox = sandbox
        self.waits = waits
        self.dag_id = dag_id

    def states(self) -> dict[str, int]:
        return dict(self.database.rows("SELECT coalesce(state, 'none'), count(*) FROM task_instance GROUP BY 1"))

    def triggers(self) -> dict[int | None, int]:
        """Return the number of triggers by triggerer."""
        return dict(self.database.rows("SELECT triggerer_id, count(*) FROM trigger GROUP BY 1"))

    def all_wait(self) -> bool:
        """Tell whether all tasks wait, each in a triggerer."""
        triggers = self.triggers()
        return self.states().get("deferred") == sum(triggers.values()) == self.waits and None not in triggers

    def all_released(self) -> bool:
        return self.states().get("deferred", 0) == 0

    def over(self) -> bool:
        return self.database.rows("SELECT state FROM dag_run") in ([("success",)], [("failed",)])

    def calls(self) -> int:
        return int(self.sandbox.ledger()["requests"])

    def until(self, condition: Callable[[], bool], what: str, within: float) -> float:
        """Wait until a condition is true.

        :return: how many seconds it took.
        """
        began = time.monotonic()
        while not condition():
            self.airflow.check()
            assert time.monotonic() < began + within, f"{what}: not within {within:.0f} s\n{self.where()}"
            assert not self.states().keys() & self.unexpected, f"{what}: failed\n{self.where()}"
            time.sleep(0.5)
        return time.monotonic() - began

    def where(self) -> str:
        """Describe the state of the run."""
        run_id = self.database.rows("SELECT run_id FROM dag_run")[0][0]
        states = self.states()
        return "\n".join(
            [
                f"task instances: {states}",
                f"triggers of each triggerer: {self.triggers()}",
                f"calls: {self.sandbox.ledger()}",
                self.airflow.task_log_tail(self.dag_id, run_id) if "failed" in states else "no task has failed",
                *(f"--- {name}:\n{self.airflow.tail(name)}" for name in self.shown),
            ]
        )

    def tables_holding(self, *wanted: str) -> list[str]:
        """Return the tables of Airflow's database that contain one of these texts."""
        tables = self.database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        texts = {table: str(self.database.rows(f'SELECT * FROM "{table}"')) for (table,) in tables}
        return [table for table, text in texts.items() if any(phrase in text for phrase in wanted)]

    def noted(self, task: str) -> dict[int, tuple[str, ...]]:
        """Return what was recorded for each index of a task, in order."""
        found: dict[int, list[str]] = {}
        rows = self.database.rows(f"SELECT map_index, what FROM noted WHERE task = '{task}' ORDER BY serial")
        for index, what in rows:
            found.setdefault(index, []).append(what)
        return {index: tuple(what) for index, what in found.items()}
