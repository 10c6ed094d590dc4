"""The base class of the operators that load trackings: shared arguments, checks, asset events, lineage, progress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_trackingmore.loading.load import MAX_OPEN, SETTLE, LoadOptions
from airflow_provider_trackingmore.loading.rows import RowOptions
from airflow_provider_trackingmore.loading.state import check_name, stream_name
from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from airflow_provider_trackingmore.operators.template_values import (
    as_mapping,
    parse_bool,
    parse_choice,
    parse_duration,
    parse_text,
)
from airflow_provider_trackingmore.transfers.progress import ProgressLog
from airflow_provider_trackingmore.transfers.result import LineageDataset, LoadResult

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_trackingmore.api.filters import ListFilters
    from airflow_provider_trackingmore.hooks.trackingmore import TrackingMoreHook


class LoadBaseOperator(TrackingMoreBaseOperator):
    """Base class of the operators that load trackings.

    :param filters: the filters of ``list_trackings``, without ``update_time_min`` and ``update_time_max``.
    :param settle: how long a delivered or expired shipment must be unchanged before later loads omit it; a
        ``timedelta`` or seconds.
    :param max_open: how long after its registration a shipment may be read with the list; later it is read by number. A
        ``timedelta`` or seconds.
    :param full_refresh: whether to read everything again. Nothing is deleted.
    :param mark_missing: whether to set ``missing_since`` of shipments that are no longer registered.
    :param event_texts: ``"drop"`` leaves out the carriers' texts, which sometimes contain the receiver's name.
    :param include_personal_data: whether to load names, e-mail addresses and phone numbers.
    :param include_raw: whether to load the vendor's record as JSON. **It may contain personal data.**
    :param account: the value of the column ``account``; None for ``trackingmore_conn_id``.
    :param stream: the name of the state, so that loads with other filters have a cursor of their own; None for one that
        is derived from ``account`` and ``filters``.
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "filters",
        "settle",
        "max_open",
        "full_refresh",
        "mark_missing",
        "event_texts",
        "include_personal_data",
        "include_raw",
        "account",
        "stream",
        "trackingmore_conn_id",
    )

    def __init__(
        self,
        *,
        filters: ListFilters | None = None,
        settle: timedelta = SETTLE,
        max_open: timedelta = MAX_OPEN,
        full_refresh: bool = False,
        mark_missing: bool = True,
        event_texts: Literal["keep", "drop"] = "keep",
        include_personal_data: bool = False,
        include_raw: bool = False,
        account: str | None = None,
        stream: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.settle = settle
        self.max_open = max_open
        self.full_refresh = full_refresh
        self.mark_missing = mark_missing
        self.event_texts = event_texts
        self.include_personal_data = include_personal_data
        self.include_raw = include_raw
        self.account = account
        self.stream = stream
        self._source: LineageDataset | None = None
        self._result: LoadResult | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Load, and attach the counts to the asset events of ``outlets``.

        :param context: Airflow task context.
        :return: ``rows`` (table -> ``new``, ``changed``, ``unchanged``), ``window``, ``cursor``, ``api_calls`` and so
            on: counts, never rows.
        """
        options = self._load_options()
        stream = self._stream(options)
        with self.hook as hook:
            address = urlsplit(hook.get_conn().settings.base_url)
            result = self._result = self._load(hook, options, stream)
        self._source = LineageDataset(f"{address.scheme}://{address.netloc}", f"{address.path}/trackings".lstrip("/"))
        summary = {"account": options.rows.account, "stream": stream, **result.summary}
        self.log.info("Loaded: %s", summary)
        self._add_to_asset_events(context, summary)
        return summary

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return source and targets for OpenLineage. Airflow calls this where the OpenLineage provider is installed.

        :param task_instance: the task instance.
        :return: inputs and outputs.
        """
        from airflow.providers.common.compat.openlineage.facet import Dataset
        from airflow.providers.openlineage.extractors import OperatorLineage

        sources = [self._source] if self._source else []
        targets = self._result.targets if self._result else []
        return OperatorLineage(
            inputs=[Dataset(namespace=namespace, name=name) for namespace, name in sources],
            outputs=[Dataset(namespace=namespace, name=name) for namespace, name in targets],
        )

    @abstractmethod
    def _load(self, hook: TrackingMoreHook, options: LoadOptions, stream: str) -> LoadResult:
        """Check the target before the first call, then load and commit.

        :param hook: reads the account; ``hook.shipment_source()`` is what ``Load`` takes.
        :param options: checked options.
        :param stream: the name of the state.
        :return: counts and targets.
        """

    def _progress(self) -> ProgressLog:
        return ProgressLog(self.log)

    def _load_options(self) -> LoadOptions:
        """Read and check the arguments after template rendering. No request is sent."""
        account = parse_text("account", self.account)
        rows = RowOptions(
            account=check_name("account", account if account is not None else self.trackingmore_conn_id),
            event_texts=parse_choice("event_texts", self.event_texts, ("keep", "drop")) == "keep",
            personal_data=parse_bool("include_personal_data", self.include_personal_data),
            raw=parse_bool("include_raw", self.include_raw),
        )
        options = LoadOptions(
            rows=rows,
            filters=as_mapping("filters", self.filters),
            settle=parse_duration("settle", self.settle),
            max_open=parse_duration("max_open", self.max_open),
            full_refresh=parse_bool("full_refresh", self.full_refresh),
            mark_missing=parse_bool("mark_missing", self.mark_missing),
        )
        options.check()
        return options

    def _stream(self, options: LoadOptions) -> str:
        return stream_name(parse_text("stream", self.stream), options.rows.account, options.filters)

    def _add_to_asset_events(self, context: Context, summary: Mapping[str, Any]) -> None:
        events = context.get("outlet_events")
        if events is None:
            return
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                events[outlet].extra.update(summary)
