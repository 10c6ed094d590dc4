"""The plugin, which every component of Airflow loads."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow import __version__

from airflow_provider_trackingmore.plugins.plugin import TrackingMorePlugin

HAS_PAGES = tuple(map(int, __version__.split(".")[:2])) >= (3, 1)
needs_pages = pytest.mark.skipif(not HAS_PAGES, reason="Airflow 3.1 and newer have pages of plugins")
LOAD = """
import json, sys
import airflow, airflow.plugins_manager, airflow.configuration
before = set(sys.modules)
from airflow_provider_trackingmore.plugins.plugin import TrackingMorePlugin
plugin = TrackingMorePlugin()
views = plugin.external_views
loaded = sorted(set(sys.modules) - before)
has_apps = bool(plugin.fastapi_apps)
print(json.dumps([loaded, has_apps, sorted(set(sys.modules) - before)]))
"""
PACKAGE = "airflow_provider_trackingmore"


def load() -> list[object]:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_airflow_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = [point for point in entry_points(group="airflow.plugins") if point.name == "trackingmore"]
    assert found.load() is TrackingMorePlugin


def test_loading_it_imports_nothing_but_itself_and_the_api_server_gets_the_application_without_fastapi() -> None:
    loaded, has_apps, afterwards = load()
    assert set(loaded) - {PACKAGE} == {f"{PACKAGE}.plugins", f"{PACKAGE}.plugins.plugin"}
    assert has_apps is HAS_PAGES
    assert (f"{PACKAGE}.plugins.webhook_route" in afterwards) is HAS_PAGES
    assert f"{PACKAGE}.plugins.page.app" not in afterwards


def test_the_application_is_mounted_where_airflow_allows_it() -> None:
    prefixes = [app["url_prefix"] for app in TrackingMorePlugin().fastapi_apps]
    assert prefixes == (["/trackingmore"] if HAS_PAGES else [])


def test_before_airflow_3_1_there_is_no_page() -> None:
    assert len(TrackingMorePlugin().external_views) == (2 if HAS_PAGES else 0)


@needs_pages
def test_airflow_accepts_each_view_because_an_invalid_one_removes_the_whole_plugin() -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    views = [ExternalViewResponse.model_validate(view) for view in TrackingMorePlugin().external_views]
    assert [view.destination for view in views] == ["nav", "task_instance"]
    assert len({view.url_route for view in views}) == 2


@needs_pages
@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("", ""),
        ("/", ""),
        ("http://localhost:8080", ""),
        ("https://etl.shop.example/airflow/", "/airflow"),
        ("https://etl.shop.example/a/b", "/a/b"),
        ("/airflow", "/airflow"),
    ],
)
def test_links_are_below_the_path_of_base_url(monkeypatch: pytest.MonkeyPatch, base_url: str, path: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    page, tab = (view["href"] for view in TrackingMorePlugin().external_views)
    assert page == f"{path}/trackingmore/page/"
    assert urlsplit(tab).path == f"{path}/trackingmore/page/task.html"
    assert {name: text for name, (text,) in parse_qs(urlsplit(tab).query).items()} == {
        "dag_id": "{DAG_ID}",
        "run_id": "{RUN_ID}",
        "task_id": "{TASK_ID}",
        "map_index": "{MAP_INDEX}",
    }
