"""Host names for components of Airflow that run on one machine as if on several: for `[core] hostname_callable`."""

from __future__ import annotations

import os


def host_name() -> str:
    """Return the host name from the component's environment."""
    return os.environ.get("SCALE_HOST", "main")
