"""The bodies of requests to the control API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .limits import MAX_AGE_DAYS, MAX_EVENTS, MAX_PARCELS, MAX_QUOTA


class _RequestModel(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ClockUpdate(_RequestModel):
    """Changes to the clock: all of them, or none if it cannot be moved as requested."""

    time_scale: Annotated[float | None, Field(gt=0, description="clock seconds per real second")] = None
    advance: Annotated[float | None, Field(ge=0, description="clock seconds to jump forward")] = None
    set: Annotated[str | None, Field(description="ISO 8601 time to jump to, not in the past")] = None
    frozen: bool | None = None

    @model_validator(mode="after")
    def _has_one_move(self) -> Self:
        if self.advance is not None and self.set is not None:
            raise ValueError("advance and set exclude each other")
        return self


class SeedRequest(_RequestModel):
    """Shipments to register: ``shipments``, or ``count`` generated ones."""

    account: int = 0
    count: Annotated[int, Field(ge=0, le=MAX_PARCELS)] = 0
    seed: int = 0
    ages_days: tuple[Annotated[float, Field(ge=0, le=MAX_AGE_DAYS)], Annotated[float, Field(ge=0, le=MAX_AGE_DAYS)]] = (
        0,
        20,
    )
    carriers: list[str] = []
    journey: str | None = None
    events: Annotated[int, Field(ge=0, le=MAX_EVENTS)] = 0
    details: dict[str, str] = {}
    shipments: list[dict[str, Any]] = []


class FaultRequest(_RequestModel):
    """A fault to inject; ``settings`` holds the options of its kind."""

    kind: str
    method: str = "*"
    path: str = "*"
    account: int | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int | None, Field(ge=1)] = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: int = 0
    settings: dict[str, float | bool] = {}


class AccountUpdate(_RequestModel):
    """Changes to an account."""

    quota: Annotated[float | None, Field(ge=0, le=MAX_QUOTA)] = None
    deleted: bool | None = None
    deleted_code: Literal[4001, 4002] | None = None
    api_key: Annotated[
        str | None, Field(min_length=1, max_length=200, description="a new key; the old one gets 4002 from now on")
    ] = None
    webhook_url: Annotated[
        str | None,
        Field(pattern=r"^(https?://[!-.0->A-~]+(/[!-~]*)?)?$", description="empty: no webhooks are sent"),
    ] = None
    cool_down: Annotated[bool | None, Field(description="true starts the two-minute cool-down, false ends it")] = None


class WebhookRequest(_RequestModel):
    """A webhook to send now: about a registered shipment, one that was sent before, or a forged one."""

    account: int = 0
    action: Literal["send", "replay", "forge"]
    carrier_code: str = ""
    tracking_number: str = ""
    serial: Annotated[int, Field(description="which attempt to replay")] = 0
    data: Annotated[dict[str, Any], Field(description="further fields of a forged `data`")] = {}
    signature: Annotated[
        Literal["wrong", "captured", "right"], Field(description="of a forged one; `captured` is that of the latest")
    ] = "wrong"
    age_seconds: Annotated[float, Field(ge=0, le=1e9, description="how old the time of a forged one is")] = 0


class AnswersUpdate(_RequestModel):
    """Whether to remember answers."""

    keep: bool


class ResetRequest(_RequestModel):
    """Settings of the new start; omitted ones are those of the first start."""

    start: str | None = None
    time_scale: Annotated[float | None, Field(gt=0)] = None
    seed: int | None = None
    limits: bool | None = None


ParcelStatus = Literal["pending", "notfound", "transit", "pickup", "delivered", "undelivered", "exception", "expired"]


class TrackingChange(_RequestModel):
    """What a carrier, or the owner of the account elsewhere, does to one shipment."""

    carrier_code: str
    tracking_number: str
    action: Literal["reword", "drop", "add", "reopen", "touch", "delete"]
    event: Annotated[int, Field(ge=0, description="position of the event to reword or drop; 0 is the newest")] = 0
    description: str | None = None
    place: str | None = None
    age_hours: Annotated[
        float, Field(ge=0, le=MAX_AGE_DAYS * 24, description="how long ago an added event happened")
    ] = 0
    leg: Annotated[
        Literal["origin", "destination"] | None, Field(description="the leg of an added event; null: the last one")
    ] = None
    event_status: Annotated[ParcelStatus, Field(description="the status of an added event")] = "transit"
    status: Annotated[
        ParcelStatus | None, Field(description="the status of the parcel after an added event; null: unchanged")
    ] = None
    delivered_after_hours: Annotated[
        float | None, Field(gt=0, le=MAX_AGE_DAYS * 24, description="when a reopened parcel is delivered again")
    ] = None
    updated_at: Annotated[Literal["now", "keep", "null"], Field(description="what the change does to `updated_at`")] = (
        "now"
    )


class TrackingChanges(_RequestModel):
    """Changes of shipments, at most one of each."""

    account: int = 0
    changes: list[TrackingChange]
