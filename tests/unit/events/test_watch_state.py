"""The stored form of a watcher's state."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.events.watch_state import (
    PIECE_LENGTH,
    Head,
    LastSeen,
    WatchState,
    WatchStateError,
    count_pieces,
    pack,
    unpack,
)
from tests.unit.events.test_changes import change

seconds = st.none() | st.integers(0, 2**32)
texts = st.text(min_size=1, max_size=20)
seen = st.builds(
    LastSeen, st.builds(ShipmentKey, texts, texts), texts, st.none() | texts, seconds, seconds, st.integers(0, 10**6)
)
states = st.builds(
    WatchState,
    round=st.integers(0, 10**6),
    mark=seconds,
    cursor=seconds,
    forgotten_until=st.integers(-1, 2**32),
    sequence=st.integers(0, 2**50),
    scope=st.text(max_size=20),
    shipments=st.lists(seen, max_size=8).map(lambda found: {shipment.key.normalized: shipment for shipment in found}),
)


def large(number: int) -> WatchState:
    rng = random.Random(1)
    keys = [ShipmentKey("usps", f"92{rng.randrange(10**18):018d}") for _ in range(number)]
    return WatchState(shipments={key.normalized: LastSeen(key, "transit", None, 1_750_000_000) for key in keys})


@given(states, st.lists(st.builds(change, st.integers(0, 10**6)), max_size=3))
def test_a_state_is_read_as_it_was_stored(state: WatchState, changes: list[Any]) -> None:
    pieces = pack(state, changes)
    assert count_pieces(pieces[0]) == len(pieces)
    assert unpack(pieces) == (state, changes)


@given(st.sampled_from("ab"), st.integers(0, 10**6), st.booleans())
def test_a_head_is_read_as_it_was_stored(slot: str, number: int, is_committed: bool) -> None:
    head = Head(slot, number, is_committed)
    assert Head.from_text(head.to_text()) == head


def test_a_large_state_is_stored_in_pieces_that_every_database_can_hold() -> None:
    state = large(30_000)
    pieces = pack(state)
    assert len(pieces) > 3
    assert count_pieces(pieces[0]) == len(pieces)
    assert max(map(len, pieces)) <= PIECE_LENGTH + 30
    assert max(map(len, pieces)) * 4 / 3 + 100 < 65_535, "encrypted, as a Variable is"
    assert sum(map(len, pieces)) / 30_000 < 25, "bytes a shipment"
    assert unpack(pieces) == (state, [])


@given(st.data())
def test_pieces_that_do_not_belong_together_are_refused(data: st.DataObject) -> None:
    """Such as after a crash between two of them."""
    old, new = pack(large(9_000)), pack(large(9_001))
    written = data.draw(st.integers(1, len(new) - 1))
    with pytest.raises(WatchStateError):
        unpack([*new[:written], *old[written:]])


@given(st.lists(st.none() | st.text(max_size=60), max_size=4))
def test_any_other_text_is_refused(pieces: list[str | None]) -> None:
    for piece in pieces:
        count_pieces(piece)
    with pytest.raises(WatchStateError):
        unpack(pieces)


@given(st.text(max_size=60))
def test_a_damaged_head_is_refused(text: str) -> None:
    with pytest.raises(WatchStateError, match="damaged"):
        Head.from_text(text)


def test_the_head_of_a_later_version_is_refused() -> None:
    with pytest.raises(WatchStateError, match="same version everywhere"):
        Head.from_text(json.dumps({"version": 99, "slot": "a", "round": 1, "is_committed": True}))


def test_without_a_head_the_first_slot_is_written() -> None:
    assert Head.from_text(None).slot == ""
    assert Head.from_text(None).other_slot == "a"
    assert Head("a").other_slot == "b"
    assert Head("b").other_slot == "a"
