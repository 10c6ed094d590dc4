"""What Airflow reads about this package: one plain dict. The hook serves the older connection forms from it too."""

from __future__ import annotations

from typing import Any

INTEGRATION = "TrackingMore"

CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "trackingmore",
    "hook-class-name": "airflow_provider_trackingmore.hooks.trackingmore.TrackingMoreHook",
    "hook-name": "TrackingMore",
    "ui-field-behaviour": {
        "hidden-fields": ["port", "login", "schema", "extra"],
        "relabeling": {"host": "Base URL", "password": "API key"},
        "placeholders": {
            "host": "https://api.trackingmore.com/v2",
            "password": "from TrackingMore's dashboard, under API",
        },
    },
    # The form of Airflow 3 enforces the bounds without showing them: the help names them.
    "conn-fields": {
        "requests_per_second": {
            "label": "Requests per second",
            "description": "How many calls the account may send; TrackingMore's limit is 1. From 0.001 to 10000",
            "schema": {"type": ["number", "null"], "default": 1, "minimum": 0.001, "maximum": 10000},
        },
        "cool_down_seconds": {
            "label": "Cool-down in seconds",
            "description": "Silence of the whole account after a 429; TrackingMore asks for 120. From 0 to 3600",
            "schema": {"type": ["number", "null"], "default": 120, "minimum": 0, "maximum": 3600},
        },
        "timeout_seconds": {
            "label": "Time-out in seconds",
            "description": "Longest time for one complete answer. From 0.001 to 3600",
            "schema": {"type": ["number", "null"], "default": 30, "minimum": 0.001, "maximum": 3600},
        },
        "max_attempts": {
            "label": "Attempts",
            "description": "How often one call is tried, the first time included. From 1 to 1000, whole numbers",
            "schema": {"type": ["integer", "null"], "default": 5, "minimum": 1, "maximum": 1000},
        },
        "pacing": {
            "label": "Pacing",
            "description": "Who shares the pace: file, one host; redis://..., all hosts; memory, one process",
            "schema": {"type": ["string", "null"], "default": "file", "examples": ["file", "memory"]},
        },
        "realtime_requests_per_second": {
            "label": "Realtime requests per second",
            "description": "A pace of its own for realtime calls; empty: the account's. From 0.001 to 10000",
            "schema": {"type": ["number", "null"], "minimum": 0.001, "maximum": 10000},
        },
        "verify": {
            "label": "Verify TLS",
            "description": "true, false, or the path of a CA bundle on the workers",
            "schema": {"type": ["string", "null"], "default": "true"},
        },
        "proxies": {
            "label": "Proxies",
            "description": 'JSON such as {"https": "http://proxy.example:3128"}; empty: environment variables',
            "schema": {"type": ["string", "null"]},
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe the package to Airflow.

    :return: the dict of the entry point ``apache_airflow_provider``.
    """
    package = __name__.rpartition(".")[0]

    def modules(*names: str) -> list[dict[str, Any]]:
        return [{"integration-name": INTEGRATION, "python-modules": [f"{package}.{name}" for name in names]}]

    return {
        "package-name": "airflow-provider-trackingmore",
        "name": INTEGRATION,
        "description": "Register shipments with TrackingMore, wait until they are delivered, load their history.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://www.trackingmore.com/",
                "tags": ["service"],
            }
        ],
        "connection-types": [CONNECTION_TYPE],
        "hooks": modules("hooks.trackingmore"),
        "operators": modules("operators.account", "operators.air_cargo", "operators.carriers", "operators.trackings"),
        "sensors": modules("sensors.shipments"),
        "triggers": modules("triggers.shipments"),
        "extra-links": [f"{package}.links.TrackingMoreLink"],
        "config": {
            "trackingmore": {
                "description": "Options of airflow-provider-trackingmore.",
                "options": {
                    "max_trigger_bytes": {
                        "description": (
                            "Refuse a deferrable wait whose stored form is larger than this, before encryption. 0 is "
                            "no limit. MySQL can store 65,535 bytes; encryption, where Airflow does it, adds a third."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "65000",
                        "default": "0",
                    },
                },
            },
        },
        "cli": [f"{package}.cli.airflow_commands.get_cli_commands"],
    }
