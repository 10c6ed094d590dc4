"""Exit codes of the commands."""

from __future__ import annotations

import enum

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.api.interruptions import cause_of
from airflow_provider_trackingmore.loading.state import LoadStateError
from airflow_provider_trackingmore.transfers.files.errors import LoadConflictError
from airflow_provider_trackingmore.transfers.sql.errors import LoadDatabaseError


class ExitCode(enum.IntEnum):
    """The exit codes."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    ACCOUNT = 3
    QUOTA = 4
    SERVICE = 5
    TIMED_OUT = 6
    BUG = 70
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.REFUSED: "something was rejected or not found, or did not arrive",
    ExitCode.USAGE: "invalid arguments, or a file that cannot be read",
    ExitCode.ACCOUNT: "no Airflow connection, or an API key that TrackingMore does not accept",
    ExitCode.QUOTA: "the account's quota is used up or not sufficient",
    ExitCode.SERVICE: "TrackingMore, the network or the database of a load failed, retries included",
    ExitCode.TIMED_OUT: "the wait timed out",
    ExitCode.BUG: "a bug in this program; --debug shows a traceback",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}

QUOTA_CODES = frozenset(code for code, kind in errors.BY_CODE.items() if kind is errors.QuotaExceededError)


class CommandError(Exception):
    """A command cannot continue.

    :param message: what happened, and what to do about it.
    :param code: the exit code.
    """

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def exit_code(error: Exception) -> ExitCode:
    """Choose the exit code for an error.

    :param error: the error that ended the command.
    :return: the exit code.
    """
    match cause_of(error) if isinstance(error, errors.TrackingMoreError) else error:
        case CommandError(code=code):
            return code
        case errors.InvalidArgumentError() | LoadStateError():
            return ExitCode.USAGE
        case errors.ApiError(http_status=int(), from_api=False):  # a proxy does not know the key or the quota
            return ExitCode.SERVICE
        case errors.AuthenticationError():
            return ExitCode.ACCOUNT
        case errors.QuotaExceededError():
            return ExitCode.QUOTA
        case (
            errors.RateLimitError()
            | errors.ServiceUnavailableError()
            | errors.ServerError()
            | errors.TransportError()
            | errors.MalformedResponseError()
            | LoadDatabaseError()
            | LoadConflictError()
        ):
            return ExitCode.SERVICE
        case errors.ApiError():
            return ExitCode.REFUSED
        case errors.TrackingMoreError():  # the remaining ones are invalid settings
            return ExitCode.ACCOUNT
        case _:
            return ExitCode.BUG
