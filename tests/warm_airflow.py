"""Import Airflow once: programs of tests run in processes forked from that one, instead of importing it again.

``python -m airflow dags test`` spends five of its eight seconds of processor time before the DAG begins. A forked
process gets the environment that the test passes and imports our package itself, so it behaves like a new process.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    "airflow.cli.cli_config",
    "airflow.models",
    "airflow.providers.common.compat.sdk",
    "airflow.cli.commands.dag_command",
    "airflow.cli.commands.db_command",
    "airflow.dag_processing.dagbag",
    "airflow.sdk.execution_time.task_runner",
    "airflow.serialization.serialized_objects",
    "airflow.jobs.triggerer_job_runner",
    "airflow.utils.db",
    "pendulum",
    "requests",
    "tenacity",
)
"""Modules that every DAG run needs; Airflow 2 lacks some. They import nothing of this project but its metadata."""


class WarmAirflow:
    """Runs Python programs in processes that have imported Airflow already. A context manager.

    They have the ``AIRFLOW_HOME`` of this process, with its configuration and its database.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        separate: bool = False,
        timeout: float = 900,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program and wait until it ends.

        :param arguments: those of ``python``: ``-m``, a module and its arguments, or a file and its arguments.
        :param environment: variables in addition to those of this process.
        :param cwd: the working directory.
        :param separate: whether to return standard output and standard error separately.
        :param timeout: seconds after which it is killed.
        :return: its exit code and output; ``stdout`` has all of it unless ``separate``.
        :raises subprocess.TimeoutExpired: if it was killed.
        """
        if self._server is None:
            command = [sys.executable, __file__]
            self._server = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {
                "arguments": arguments,
                "environment": {**os.environ, **(environment or {})},
                "cwd": str(cwd),
                "out": str(out),
                "err": str(err if separate else out),
            }
            print(json.dumps(request), file=self._server.stdin, flush=True)
            if not select.select([self._server.stdout], [], [], timeout)[0]:
                self.stop()
                raise subprocess.TimeoutExpired(list(arguments), timeout, out.read_bytes())
            answer = self._server.stdout.readline()
            assert answer, "the process that has imported Airflow has ended: see above"
            texts = [file.read_text("utf-8", "replace") if file.exists() else "" for file in (out, err)]
            return subprocess.CompletedProcess(list(arguments), int(answer), *texts)

    def stop(self) -> None:
        """End the server and the program that it runs."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 9)
            server.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve() -> None:
    """Fork a process for each line of stdin, and write its exit code."""
    requests, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[0] = ""  # instead of the folder of this file
    for module in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    with contextlib.suppress(ImportError):  # Airflow 2
        from airflow.sdk.execution_time import supervisor

        # The API server for the tasks of ``dag.test()``: Airflow 3.0 to 3.2 create a new one for each try of a task.
        server: Any = supervisor.in_process_api_server
        supervisor.in_process_api_server = functools.cache(server)
        asyncio.run(request_nothing(supervisor.in_process_api_server().app))
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    gc.freeze()  # memory that is shared with the children stays shared
    for line in requests:
        child = os.fork()
        if not child:
            run_program(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


async def request_nothing(app: Any) -> None:
    """A first request makes the app generate its routes for each version of the API."""
    import httpx

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://airflow") as client:
        assert (await client.get("/nothing")).status_code == 404


def run_program(arguments: list[str], **given: Any) -> None:
    """Run the program in the forked process; does not return."""
    code = 1
    try:
        set_up_process(**given)
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path[0] = str(Path(arguments[0]).parent)
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def set_up_process(environment: dict[str, str], cwd: str, out: str, err: str) -> None:
    """Set up what a new process inherits: standard streams, environment, directory and path."""
    for number, file, mode in ((0, os.devnull, "r"), (1, out, "a"), (2, err, "a")):
        with open(file, mode) as opened:
            os.dup2(opened.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in paths if path and path not in sys.path]
    from airflow import settings

    settings.configure_vars()  # the folder of the DAGs


if __name__ == "__main__":
    serve()
