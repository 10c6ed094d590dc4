"""Chromium, and the checks of everything that it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
EXPECTED = ("Failed to load resource", "can escape its sandboxing")
"""Parts of messages that Chromium itself writes to the console."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser with a new profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A window that is logged in.

    :param context: its cookies and settings.
    :param url: the URL of Airflow's UI.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._keep_error)

    def _keep_error(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in EXPECTED):
            self.errors.append(message.text)

    def open(self, address: str = "") -> Page:
        """Open the page at a deep link, such as ``#account``."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/trackingmore/page/{address}")
        return self.page

    def check(self) -> None:
        """Check what is shown: accessibility, width, and the browser's console."""
        violations = Axe().run(self.page).response["violations"]
        found = [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in violations]
        assert found == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        assert self.errors == []

    def text(self) -> str:
        """The visible text of the page."""
        return self.page.inner_text("body")


def save(page: Page, name: str, folder: Path) -> None:
    """Save a screenshot."""
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", animations="disabled")
