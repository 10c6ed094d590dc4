"""The hints of API errors in Airflow's words: what an Airflow user can do about an error."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_trackingmore.api.errors import Hint

AIRFLOW_HINTS: Mapping[Hint, str] = {
    Hint.CHECK_API_KEY: "check the API key in the password field of the Airflow connection",
    Hint.CHECK_BASE_URL: "check the base URL (host) of the Airflow connection, and any proxy or firewall in between",
    Hint.CHECK_NETWORK: "check the base URL (host) of the Airflow connection and the network",
    Hint.CHECK_PROXIES: "check 'proxies' in the extra of the Airflow connection",
    Hint.CHECK_CERTIFICATE: (
        "check the base URL (host) of the Airflow connection, or set 'verify' in its extra to the CA bundle to trust"
    ),
    Hint.CHECK_SETTINGS: (
        "check the base URL (host) of the Airflow connection, and 'proxies' and 'verify' in its extra"
    ),
    Hint.REGISTER_FIRST: "run CreateTrackingsOperator first",
    Hint.SHARE_RATE_LIMIT: (
        "make all programs that use this key share one rate limit, with 'requests_per_second' and 'pacing' in the "
        "extra of the Airflow connection"
    ),
}
"""Hints that are missing here are the same in Airflow."""

TEMPLATE_HINT = "a template renders to text unless the DAG has render_template_as_native_obj=True"
"""For an argument that is text where a list or a mapping is expected."""
