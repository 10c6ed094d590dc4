"""The webhook settings in the extra of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trackingmore.api.errors import InvalidSettingsError
from airflow_provider_trackingmore.events.webhook_settings import WebhookSettings

SECRET = "a-secret-of-sixteen-characters-or-more"


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_there_are_no_webhooks(secret: object) -> None:
    assert WebhookSettings.from_extra({"webhook_secret": secret, "webhook_tolerance_seconds": "never"}) is None


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(["webhook_email", "webhook_tolerance_seconds"], "")])
def test_empty_settings_have_their_default(nothing: dict[str, Any]) -> None:
    assert WebhookSettings.from_extra({"webhook_secret": SECRET, **nothing}) == WebhookSettings(SECRET, None, 300, 120)


@pytest.mark.parametrize("as_it_comes", [int, float, str])
def test_numbers_may_come_as_text(as_it_comes: Any) -> None:
    extra = {"webhook_tolerance_seconds": as_it_comes(60), "webhook_hints_per_minute": as_it_comes(30)}
    settings = WebhookSettings.from_extra({"webhook_secret": SECRET, "webhook_email": " a@b.example ", **extra})
    assert settings == WebhookSettings(SECRET, "a@b.example", 60.0, 30)


@pytest.mark.parametrize(
    ("name", "value", "bounds"),
    [
        ("webhook_secret", "short", "16 to 250 characters"),
        ("webhook_secret", "x" * 251, "16 to 250 characters"),
        ("webhook_secret", 7, "16 to 250 characters"),
        ("webhook_secret", SECRET + "/", "without '/'"),
        *[("webhook_tolerance_seconds", value, "from 1 to 86400") for value in (0, -1, 86_401, "nan", "inf", True, [])],
        *[("webhook_hints_per_minute", value, "from 1 to 10000") for value in (0, 10_001, "many", {"a": 1})],
        ("webhook_hints_per_minute", "2.5", "whole number"),
    ],
)
def test_an_invalid_setting_is_named_with_what_is_allowed(name: str, value: object, bounds: str) -> None:
    with pytest.raises(InvalidSettingsError, match=f"{name} must be .*{bounds}"):
        WebhookSettings.from_extra({"webhook_secret": SECRET} | {name: value})


def test_the_secret_and_the_address_are_not_shown() -> None:
    assert repr(WebhookSettings(SECRET, "shop@mail.example")).count("=") == 2
