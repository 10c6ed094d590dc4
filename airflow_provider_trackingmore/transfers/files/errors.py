"""The error of two loads that overlap."""

from airflow_provider_trackingmore.api.errors import Retry, TrackingMoreError


class LoadConflictError(TrackingMoreError):
    """Another load of the same stream has finished in the meantime. Run the task again: it continues from there."""

    retry = Retry.ALWAYS
