"""The provider's metadata for Airflow. The hook builds the older connection forms from it too."""

from __future__ import annotations

from typing import Any

INTEGRATION = "TrackingMore"

# Without default, minimum and maximum: the form of Airflow 3 would store the default with every connection, and
# silently replace a value out of bounds by the nearest bound. The hook refuses such a value and names the bounds.
CLIENT_FIELDS: dict[str, dict[str, Any]] = {
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Calls per second for the account. Empty: 1, TrackingMore's limit. From 0.001 to 10000",
        "schema": {"type": ["number", "null"]},
    },
    "cool_down_seconds": {
        "label": "Cool-down in seconds",
        "description": "Time without calls after a 429. Empty: 120, as TrackingMore asks for. From 0 to 3600",
        "schema": {"type": ["number", "null"]},
    },
    "timeout_seconds": {
        "label": "Timeout in seconds",
        "description": "Longest time for a complete response. Empty: 30. From 0.001 to 3600",
        "schema": {"type": ["number", "null"]},
    },
    "max_attempts": {
        "label": "Attempts",
        "description": "Attempts per call, the first one included. Empty: 5. From 1 to 1000, whole numbers",
        "schema": {"type": ["integer", "null"]},
    },
    "pacing": {
        "label": "Pacing",
        "description": "Who shares the rate limit. Empty or file: the host; redis://...: all hosts; memory: no one",
        "schema": {"type": ["string", "null"], "examples": ["file", "memory"]},
    },
    "realtime_requests_per_second": {
        "label": "Realtime requests per second",
        "description": "A rate limit of its own for realtime calls. Empty: the account's. From 0.001 to 10000",
        "schema": {"type": ["number", "null"]},
    },
    "verify": {
        "label": "Verify TLS",
        "description": "true, false, or the path of a CA bundle on the workers. Empty: true",
        "schema": {"type": ["string", "null"]},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'JSON such as {"https": "http://proxy.example:3128"}. Empty: environment variables',
        "schema": {"type": ["string", "null"]},
    },
}
"""The extras that are settings of the client."""

WEBHOOK_FIELDS: dict[str, dict[str, Any]] = {
    "webhook_secret": {
        "label": "Webhook secret",
        "description": "Last part of the webhooks' URL, 16 to 250 characters. Empty: none. Airflow 3.1 or newer",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "webhook_email": {
        "label": "Webhook e-mail",
        "description": "Address of the TrackingMore login, the key of the signature. Empty: the account is asked once",
        "schema": {"type": ["string", "null"]},
    },
    "webhook_tolerance_seconds": {
        "label": "Webhook tolerance in seconds",
        "description": "Age from which on webhooks are stale. Empty: 300. From 1 to 86400",
        "schema": {"type": ["number", "null"]},
    },
    "webhook_hints_per_minute": {
        "label": "Webhook hints per minute",
        "description": "Shipments checked in a minute because of webhooks. Empty: 120. From 1 to 10000, whole numbers",
        "schema": {"type": ["integer", "null"]},
    },
}
"""The extras that are settings of the API server's route for webhooks."""

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
    "conn-fields": CLIENT_FIELDS | WEBHOOK_FIELDS,
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata.

    :return: the dict for the entry point ``apache_airflow_provider``.
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
        "triggers": modules("triggers.shipment_changes", "triggers.shipments"),
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                "target-integration-name": "Object Storage",
                "python-module": f"{package}.transfers.trackingmore_to_object_storage",
            },
            {
                "source-integration-name": INTEGRATION,
                "target-integration-name": "Common SQL",
                "python-module": f"{package}.transfers.trackingmore_to_sql",
            },
        ],
        "extra-links": [
            f"{package}.links.{name}" for name in ("FirstShipmentLink", "SecondShipmentLink", "ThirdShipmentLink")
        ],
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
                    "page_event_texts": {
                        "description": (
                            "Whether the page Shipments shows the carriers' texts: keep or drop. People are removed "
                            "from them as far as they can be found."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "drop",
                        "default": "keep",
                    },
                    "page_sql_conn_id": {
                        "description": (
                            "The connection of the database that TrackingMoreToSqlOperator loads into. The page "
                            "Shipments shows its lanes, carriers and stuck shipments to all who may see the page."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "warehouse",
                        "default": "",
                    },
                    "page_sql_schema": {
                        "description": "The schema of these tables; empty for the default one of the connection.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "shipping",
                        "default": "",
                    },
                    "status_reports": {
                        "description": (
                            "Whether triggerers write once a minute what the page Shipments shows: calls, next checks "
                            "and counts. They write into Redis where the pacing of a connection is kept there, else "
                            "into Variables named trackingmore_status_..."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "True",
                    },
                },
            },
        },
        "cli": [f"{package}.cli.airflow_commands.get_cli_commands"],
    }
