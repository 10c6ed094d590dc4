"""The operator that reads the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.operators.base import TrackingMoreBaseOperator
from airflow_provider_trackingmore.operators.template_values import parse_bool
from airflow_provider_trackingmore.serialization import record_to_dict

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class GetAccountOperator(TrackingMoreBaseOperator):
    """Read how much quota and money the account has left (``GET /trackings/getuserinfo``).

    It returns a dict: ``quota_left`` (the number of shipments that can still be registered), ``balance`` (money) and
    ``registered_at`` (ISO 8601). A value is None if TrackingMore does not send it.

    :param include_raw: whether to add the vendor's record. **It holds the account's e-mail address and phone number.**
    :param trackingmore_conn_id: the Airflow connection.
    :raises TrackingMoreError: if the account cannot be read, such as for a wrong API key.
    """

    template_fields = ("include_raw", "trackingmore_conn_id")

    def __init__(self, *, include_raw: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.include_raw = include_raw

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the account.

        :param context: Airflow task context.
        :return: the account.
        """
        include_raw = parse_bool("include_raw", self.include_raw)
        with self.hook as hook:
            account = hook.get_account()
        self.log.info("Quota left: %s", "unknown" if account.quota_left is None else account.quota_left)
        return record_to_dict(account, include_raw=include_raw)
