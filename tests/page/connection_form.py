"""Pictures of the connection form for the documentation, in the Airflow at hand: ``make forms`` runs it in two of them.

``python -m tests.page.connection_form FOLDER`` starts Airflow's web server, fills in the form in Chromium, and saves
``connection-form-airflow-<version>.png``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow import __version__ as airflow_version
from playwright.sync_api import Browser, Page

from tests.page.browser import chromium

START_SECONDS = 300.0
IS_AIRFLOW_2 = airflow_version.startswith("2.")
KEY = "00000000-0000-4000-8000-000000"
"""Shown as dots."""


@contextmanager
def web_server(home: Path) -> Iterator[str]:
    """Run Airflow's web server, in which everybody is an admin, and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }
    (home / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
    airflow = [sys.executable, "-m", "airflow"]
    server = ["webserver", "--workers", "1"] if IS_AIRFLOW_2 else ["api-server"]
    with (home / "log").open("w") as log:
        subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, stdout=log, stderr=log)
        running = subprocess.Popen([*airflow, *server, "--port", port], env=environment, stdout=log, stderr=log)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/", running)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(60)


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            opener.open(url, timeout=30).close()
            return
        time.sleep(0.5)
    raise SystemExit("Airflow's web server did not start")


def form_of_airflow_2(page: Page, url: str) -> list[bytes]:
    page.goto(f"{url}/connection/add")
    page.locator("#conn_id").fill("trackingmore_default")
    page.locator("#select2-conn_type-container").click()
    page.locator(".select2-search__field").fill("TrackingMore")
    page.keyboard.press("Enter")
    page.get_by_label("API key").fill(KEY)
    page.locator("#conn_id").focus()
    page.wait_for_timeout(500)
    return [page.locator(".panel").first.screenshot(animations="disabled")]


def form_of_airflow_3(page: Page, url: str) -> list[bytes]:
    page.goto(f"{url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[name=connection_id]").fill("trackingmore_default")
    dialog.get_by_role("combobox").first.click()
    page.keyboard.type("TrackingMore")
    page.keyboard.press("Enter")
    dialog.locator("input[name=password]").fill(KEY)
    pictures = [dialog.screenshot(animations="disabled")]
    dialog.get_by_text("Extra Fields", exact=True).click()
    dialog.get_by_text("Webhook hints per minute").wait_for()
    page.wait_for_timeout(1_000)
    return [*pictures, dialog.screenshot(animations="disabled")]


def stack(browser: Browser, pictures: list[bytes], file: Path) -> None:
    """Save pictures as one, from top to bottom."""
    images = "".join(f'<img src="data:image/png;base64,{base64.b64encode(one).decode()}">' for one in pictures)
    page = browser.new_page()
    page.set_content(f'<div style="background: #ccc; display: inline-grid; gap: 16px">{images}</div>')
    page.locator("div").screenshot(path=file)


def main(folder: str) -> None:
    version = ".".join(airflow_version.split(".")[:2])
    with tempfile.TemporaryDirectory() as home, web_server(Path(home)) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 2200}, locale="en-GB", color_scheme="light")
        pictures = form_of_airflow_2(page, url) if IS_AIRFLOW_2 else form_of_airflow_3(page, url)
        stack(browser, pictures, Path(folder) / f"connection-form-airflow-{version}.png")


if __name__ == "__main__":
    main(sys.argv[1])
