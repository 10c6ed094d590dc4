"""The state between two loads: where the next window begins, and which shipments are not settled."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from airflow_provider_trackingmore.api.errors import InvalidArgumentError, TrackingMoreError
from airflow_provider_trackingmore.api.filters import filter_query
from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.schema import ACCOUNT_LENGTH

STATE_VERSION = 1
MAX_PLAIN_LENGTH = 1000
"""The maximum length of the list of open shipments in characters; a longer list is compressed."""


class LoadStateError(TrackingMoreError):
    """The stored state of a load cannot be used."""


@dataclass(slots=True)
class LoadState:
    """The state of a stream of loads. It is stored together with the rows.

    :param sequence: the number of completed loads.
    :param mark: Unix seconds: every shipment that was registered earlier is settled, or is in ``open``. None before the
        first load.
    :param cursor: Unix seconds of the vendor's clock: settled shipments have been read up to that change. None before
        the first load.
    :param open: the shipments that are not settled, with the Unix seconds of their registration if the vendor says.
    """

    sequence: int = 0
    mark: int | None = None
    cursor: int | None = None
    open: dict[ShipmentKey, int | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the state as JSON-serializable data."""
        carriers: dict[str, list[list[Any]]] = {}
        for key, created_at in self.open.items():
            carriers.setdefault(key.carrier_code, []).append([key.tracking_number, created_at])
        text = json.dumps(carriers, ensure_ascii=True, separators=(",", ":"))
        is_long = len(text) > MAX_PLAIN_LENGTH
        compressed = {"open_zlib": base64.b64encode(zlib.compress(text.encode(), 6)).decode("ascii")}
        return {
            "version": STATE_VERSION,
            "sequence": self.sequence,
            "mark": self.mark,
            "cursor": self.cursor,
            **(compressed if is_long else {"open": carriers}),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> LoadState:
        """Read a stored state.

        :param stored: from :meth:`to_dict`.
        :return: the state.
        :raises LoadStateError: if it was written by a later version, or is damaged.
        """
        version = stored.get("version")
        if isinstance(version, int) and version > STATE_VERSION:
            raise LoadStateError(
                f"The state of this load was written by a later version of this package (in form {version}; this "
                f"version reads forms up to {STATE_VERSION}): install that version again"
            )
        try:
            values: Mapping[str, Any] = stored
            compressed = values.get("open_zlib")
            carriers = json.loads(zlib.decompress(base64.b64decode(compressed))) if compressed else values["open"]
            return cls(
                sequence=int(values["sequence"]),
                mark=_seconds(values["mark"]),
                cursor=_seconds(values["cursor"]),
                open={
                    ShipmentKey(carrier, number): _seconds(created_at)
                    for carrier, shipments in carriers.items()
                    for number, created_at in shipments
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error, binascii.Error) as error:
            raise LoadStateError(
                f"The state of this load is damaged ({type(error).__name__}): restore it, or remove it and load with "
                "full_refresh=True, which reads everything again and deletes nothing"
            ) from error


def default_stream(account: str, filters: Mapping[str, object]) -> str:
    """Name the stream of loads whose state is stored, so that loads with other filters have another one.

    :param account: the value of the column ``account``.
    :param filters: the filters of ``list_trackings``.
    :return: the account, followed by a hash of the filters if there are any.
    :raises InvalidArgumentError: naming a filter that is invalid.
    """
    query = filter_query(filters)
    if not query:
        return account
    text = json.dumps(query, sort_keys=True, separators=(",", ":"))
    return f"{account}:{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=6).hexdigest()}"


def stream_name(stream: str | None, account: str, filters: Mapping[str, object]) -> str:
    """Return the name of the state.

    :param stream: the user's name for it; None for one that is derived from ``account`` and ``filters``.
    :param account: the value of the column ``account``.
    :param filters: the filters of ``list_trackings``.
    :return: the name.
    :raises InvalidArgumentError: if it is empty, too long or has control characters.
    """
    return check_name("stream", default_stream(account, filters) if stream is None else stream)


def check_name(argument: str, value: str) -> str:
    """Check the name of an account or stream.

    :param argument: the argument, for the error.
    :param value: the name.
    :return: the name.
    :raises InvalidArgumentError: if it is empty, too long or has control characters.
    """
    if not value.strip() or len(value) > ACCOUNT_LENGTH or not value.isprintable():
        raise InvalidArgumentError(
            f"{argument} must be a text of 1 to {ACCOUNT_LENGTH} characters, without control characters"
        )
    return value


def _seconds(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"Unix seconds expected, not {type(value).__name__}")
    return value
