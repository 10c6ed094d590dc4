"""Import a DAG file and fail if that does anything else: python import_watched.py FILE."""

import os
import runpy
import sys

import airflow.models  # noqa: F401 - Airflow may read its own settings; the DAG may not
from airflow.providers.common.compat.sdk import BaseHook

touched = []


def watch(event, arguments):
    network = event in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect")
    written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    # Python caches compiled modules, and imports of Airflow 2.11 open the null device.
    name = str(arguments[0])
    harmless = name == os.devnull or name.endswith(".pyc") or "__pycache__" in name
    if network or (written and not harmless):
        touched.append((event, str(arguments[0])))


def refuse(*_, **__):
    raise AssertionError("a connection was asked for")


BaseHook.get_connection = refuse
sys.addaudithook(watch)
runpy.run_path(sys.argv[1])
assert not touched, touched
