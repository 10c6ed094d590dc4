"""The Airflow plugin. Every component of Airflow loads this module, so it imports little."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from airflow import __version__
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow_provider_trackingmore.plugins.app import PluginApp

URL_PREFIX = "/trackingmore"
HAS_PAGES = tuple(map(int, __version__.split(".")[:2])) >= (3, 1)


class MountedApp(TypedDict):
    """An ASGI application, and the path at which Airflow's API server mounts it."""

    app: PluginApp
    url_prefix: str
    name: str


class ExternalView(TypedDict, total=False):
    """A page that Airflow's UI shows in a frame. A single invalid value removes the whole plugin from the UI.

    :param name: the text of the link or tab.
    :param href: the URL of the page; ``{DAG_ID}``, ``{RUN_ID}``, ``{TASK_ID}`` and ``{MAP_INDEX}`` are filled in.
    :param destination: ``nav`` or ``task_instance``.
    :param category: the menu that the link is in.
    :param url_route: the last part of the URL in Airflow's UI.
    """

    name: str
    href: str
    destination: str
    category: str
    url_route: str


class TrackingMorePlugin(AirflowPlugin):
    """Adds the webhook route and the page "Shipments" to the API server of Airflow 3.1 and newer.

    The route is ``POST /trackingmore/webhooks/<connection id>/<secret>``; the page is below ``/trackingmore/page/``.
    """

    name = "trackingmore"

    @cached_property
    def fastapi_apps(self) -> list[MountedApp]:  # type: ignore[override]  # Airflow declares a class attribute
        """The applications to mount. Only the API server reads this."""
        if not HAS_PAGES:
            return []
        from airflow_provider_trackingmore.plugins.app import PluginApp

        # One application for both: of two mounts with the same prefix, Airflow never reaches the second.
        return [{"app": PluginApp(), "url_prefix": URL_PREFIX, "name": "trackingmore"}]

    @cached_property
    def external_views(self) -> list[ExternalView]:  # type: ignore[override]  # as above
        """The pages in Airflow's UI: one in the menu, and a tab of each task instance."""
        if not HAS_PAGES:
            return []
        page = f"{_base_path()}{URL_PREFIX}/page"
        task = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
        return [
            {
                "name": "Shipments",
                "href": f"{page}/",
                "destination": "nav",
                "category": "browse",
                "url_route": "trackingmore-shipments",
            },
            {
                "name": "Shipments",
                "href": f"{page}/task.html?{task}",
                "destination": "task_instance",
                "url_route": "trackingmore-task",
            },
        ]


def _base_path() -> str:
    """Return the path below which Airflow is served, without a trailing slash."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
