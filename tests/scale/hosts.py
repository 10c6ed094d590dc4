"""Names for components of Airflow that run on one machine in place of many: `[core] hostname_callable` points here."""

from __future__ import annotations

import os


def host_name() -> str:
    """Tell the name that the component's environment gives its host."""
    return os.environ.get("SCALE_HOST", "main")
