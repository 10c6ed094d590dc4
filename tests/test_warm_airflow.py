"""A process that is forked from a preloaded Airflow behaves like a new process."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from tests.warm_airflow import WarmAirflow


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def test_a_run_returns_the_programs_exit_code_and_output(warm_airflow: WarmAirflow, program: Path) -> None:
    program.write_text("import os, sys\nprint(os.getcwd(), sys.argv[1:])\nsys.stderr.write('oh')\nsys.exit(3)")
    done = warm_airflow.run(str(program), "a", "b", cwd=program.parent, separate=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{program.parent} ['a', 'b']\n", "oh")

    program.write_text("raise ValueError('what is wrong')")
    done = warm_airflow.run(str(program))
    assert done.returncode == 1
    assert done.stdout.endswith("ValueError: what is wrong\n")


def test_programs_do_not_affect_each_other(warm_airflow: WarmAirflow, program: Path) -> None:
    program.write_text(
        "import os, sys\n"
        "METADATA = 'airflow_provider_trackingmore.get_provider_info'  # Airflow reads it\n"
        "assert 'airflow.models' in sys.modules\n"
        "ours = {name for name in sys.modules if name.startswith('airflow_provider_trackingmore')}\n"
        "print(ours - {'airflow_provider_trackingmore', METADATA}, os.getenv('ONCE'))\n"
        "import airflow_provider_trackingmore.hooks.trackingmore\n"
    )
    assert warm_airflow.run(str(program), environment={"ONCE": "1"}).stdout == "set() 1\n"
    assert warm_airflow.run(str(program)).stdout == "set() None\n"


@pytest.mark.slow
def test_a_program_that_hangs_is_killed_and_another_can_run(program: Path) -> None:
    program.write_text(
        "import fcntl, time\nlock = open('lock', 'w')\nfcntl.flock(lock, fcntl.LOCK_EX)\ntime.sleep(600)"
    )
    with WarmAirflow() as own:
        own.run("-m", "airflow", "version")
        with pytest.raises(subprocess.TimeoutExpired):
            own.run(str(program), cwd=program.parent, timeout=5)
        with (program.parent / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the program has ended
        program.write_text("")
        assert own.run(str(program)).returncode == 0
