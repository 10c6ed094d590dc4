"""The operator for the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trackingmore.operators.entries import record_entry
from airflow_provider_trackingmore.operators.rendered import flag
from airflow_provider_trackingmore.operators.task import TrackingMoreTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class GetAccountOperator(TrackingMoreTask):
    """Read how much quota and money the account has (``GET /trackings/getuserinfo``).

    It returns a dict: ``quota_left`` (shipments that may still be registered), ``balance`` (money),
    ``registered_at`` (ISO 8601); None where TrackingMore does not say.

    :param include_raw: whether to return the vendor's record too. **It holds the account's e-mail address and phone
        number.**
    :param trackingmore_conn_id: the Airflow connection.
    """

    template_fields = ("include_raw", "trackingmore_conn_id")

    def __init__(self, *, include_raw: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.include_raw = include_raw

    def execute(self, context: Context) -> dict[str, Any]:
        """Read it.

        :param context: Airflow's.
        :return: the account.
        """
        include_raw = flag("include_raw", self.include_raw)
        with self.hook() as hook:
            account = hook.get_account()
        self.log.info("Quota left: %s", "unknown" if account.quota_left is None else account.quota_left)
        return record_entry(account, include_raw=include_raw)
