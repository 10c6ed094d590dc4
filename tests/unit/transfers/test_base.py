"""What both operators that load share: arguments, the name of the state, asset events, lineage."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_trackingmore.api.errors import InvalidArgumentError
from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook
from airflow_provider_trackingmore.loading.load import LoadOptions
from airflow_provider_trackingmore.transfers.base import LineageDataset, LoadBaseOperator, LoadResult

TABLE = LineageDataset("postgres://db.example:5432", "shop.public.trackings")


class RecordingOperator(LoadBaseOperator):
    """Keeps what it was to load."""

    def _load(self, hook: TrackingMoreHook, options: LoadOptions, stream: str) -> LoadResult:
        self.seen = (options, stream)
        return LoadResult({"rows": {"trackings": {"new": 1}}}, [TABLE])


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "trackingmore", "host": "https://api.example/v2", "password": "key-1a2b3c"}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKINGMORE_DEFAULT", json.dumps(connection))


def load(context: dict[str, Any] | None = None, /, **arguments: Any) -> tuple[LoadOptions, str]:
    operator = RecordingOperator(task_id="t", **arguments)
    operator.execute(context or {})
    return operator.seen


def test_every_argument_can_be_a_template() -> None:
    arguments = set(inspect.signature(LoadBaseOperator).parameters) - {"kwargs", "args"}
    assert set(LoadBaseOperator.template_fields) == arguments | {"trackingmore_conn_id"}


def test_the_defaults() -> None:
    options, stream = load()
    assert options == LoadOptions(options.rows)
    assert (options.rows.account, options.rows.event_texts, options.rows.personal_data, options.rows.raw) == (
        "trackingmore_default", True, False, False,
    )  # fmt: skip
    assert stream == "trackingmore_default"


def test_what_templates_render_is_read() -> None:
    options, stream = load(
        filters={"status": "transit"},
        settle="5 days, 0:00:00",
        max_open="86400",
        full_refresh="True",
        mark_missing="False",
        event_texts="drop",
        include_personal_data="true",
        include_raw="True",
        account="north",
        stream="nightly",
    )
    assert (options.settle, options.max_open) == (timedelta(days=5), timedelta(days=1))
    assert (options.full_refresh, options.mark_missing) == (True, False)
    rows = options.rows
    assert (rows.account, rows.event_texts, rows.personal_data, rows.raw) == ("north", False, True, True)
    assert stream == "nightly"


def test_loads_with_other_filters_have_a_state_of_their_own() -> None:
    _, unfiltered = load(account="north")
    _, transit = load(account="north", filters={"status": "transit"})
    _, expired = load(account="north", filters={"status": "expired"})
    _, other_account = load(account="south", filters={"status": "transit"})
    assert len({unfiltered, transit, expired, other_account}) == 4


def test_spellings_of_the_same_filters_share_a_state() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    spellings = [
        {"created_at_min": since, "status": "transit"},
        {"status": "transit", "created_at_min": int(since.timestamp()), "lang": None},
        {"created_at_min": "2026-03-01T00:00:00+00:00", "status": " transit ", "lang": ""},
    ]
    assert len({load(filters=filters)[1] for filters in spellings}) == 1
    assert load(filters={"lang": None})[1] == "trackingmore_default"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("event_texts", "hide"),
        ("full_refresh", "yes"),
        ("settle", timedelta(days=-1)),
        ("settle", "three days"),
        ("max_open", "1e400"),
        ("max_open", 1e20),
        ("filters", "status=transit"),
        ("filters", {"colour": "red"}),
        ("filters", {"update_time_min": 1}),
        ("account", "x" * 251),
        ("account", "two\nlines"),
        ("stream", 3),
    ],
)
def test_an_unusable_argument_is_an_error_that_names_it(argument: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"colour|filters|" + argument):
        load(**{argument: value})


def outlet_events() -> Any:
    try:
        from airflow.sdk.execution_time.context import OutletEventAccessors
    except ImportError:  # Airflow 2
        from airflow.utils.context import OutletEventAccessors
    return OutletEventAccessors()


def test_asset_events_carry_the_result() -> None:
    events, assets = outlet_events(), [Asset("postgres://db/shop/public/trackings"), Asset("file:///other")]
    load({"outlet_events": events}, outlets=assets)
    expected = {"account": "trackingmore_default", "stream": "trackingmore_default", "rows": {"trackings": {"new": 1}}}
    assert [events[asset].extra for asset in assets] == [expected, expected]


def test_lineage_says_source_and_targets() -> None:
    facets = pytest.importorskip("airflow.providers.openlineage.extractors")
    operator = RecordingOperator(task_id="t")
    operator.execute({})
    lineage = operator.get_openlineage_facets_on_complete(None)
    assert isinstance(lineage, facets.OperatorLineage)
    assert [(entry.namespace, entry.name) for entry in lineage.inputs] == [("https://api.example", "v2/trackings")]
    assert [(entry.namespace, entry.name) for entry in lineage.outputs] == [TABLE]
