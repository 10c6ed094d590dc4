"""Record what deferred sensors of this release leave in Airflow's database: python -m tests.upgrades

Run once for each release, just before it. The files go into a folder named by the version; those of a version that has
been released never change.
"""

from __future__ import annotations

import os
from pathlib import Path

import tests.conftest  # noqa: F401 - sets a separate AIRFLOW_HOME before Airflow is imported
from airflow_provider_trackingmore import __version__
from tests.upgrades.record import record

for file in record(Path(__file__).parent / __version__):
    print(os.path.relpath(file))
