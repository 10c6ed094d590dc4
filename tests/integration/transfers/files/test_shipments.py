"""What is known of shipments is found again, in whichever month they were registered last."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from airflow_provider_trackingmore.api.models import ShipmentKey
from airflow_provider_trackingmore.loading.target import KnownShipment
from airflow_provider_trackingmore.transfers.files import shipments
from airflow_provider_trackingmore.transfers.files.shipments import FiledShipment, ShipmentStore

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_SECONDS = 30 * 86_400


@pytest.mark.parametrize("seed", range(10))
def test_a_shipment_is_found_in_whichever_month_it_was_registered(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipments, "SHIPMENTS_PER_FILE", 7)
    rng = random.Random(seed)
    files: dict[str, list[bytes]] = {}
    index: dict[str, bytes] = {}
    expected: dict[ShipmentKey, FiledShipment] = {}
    for load in range(12):
        months_read: list[str] = []

        def read_month(month: str, found: list[str] = months_read) -> list[bytes]:
            found.append(month)
            return files[month]

        store = ShipmentStore(files, read_month, index.__getitem__)  # type: ignore[arg-type]
        for _ in range(3):
            batch = {
                ShipmentKey(rng.choice("ab"), f"N{rng.randrange(300)}"): rng.choice(
                    [None, *(int(START.timestamp()) + month * MONTH_SECONDS for month in range(6))]
                )
                for _ in range(20)
            }
            assert store.look_up(batch) == {key: expected[key] for key in batch if key in expected}
            for key, created_at in batch.items():
                if rng.random() < 0.7:
                    known = KnownShipment(f"hash {load}", "transit", START, START, rng.random() < 0.1)
                    expected[key] = FiledShipment(known, rng.randbytes(8))
                    store.update(key, created_at, expected[key])
        for month, content in list(store.changed_months()):
            index[month], files[month] = content.index, list(content.parts)
        store.close()
        assert len(months_read) == len(set(months_read))
        assert sum(map(len, index.values())) == 8 * len(expected)


def test_the_months_of_other_shipments_are_not_read() -> None:
    first = ShipmentStore((), lambda _: iter(()), lambda _: b"")
    known = FiledShipment(KnownShipment("hash", "transit", START, START), b"")
    january, march = (int(START.timestamp()) + month * MONTH_SECONDS for month in (0, 2))
    for number in range(1_000):
        first.update(ShipmentKey("usps", f"OLD{number}"), january, known)
    [(month, content)] = list(first.changed_months())
    parts = list(content.parts)
    read: list[str] = []

    def read_month(month: str) -> object:
        read.append(month)
        return iter(parts)

    second = ShipmentStore([month], read_month, lambda _: content.index)  # type: ignore[arg-type]
    assert second.look_up({ShipmentKey("usps", f"NEW{number}"): march for number in range(1_000)}) == {}
    assert read == []
    assert list(second.look_up({ShipmentKey("usps", "OLD999"): march})) == [ShipmentKey("usps", "OLD999")]
    assert read == [month]
