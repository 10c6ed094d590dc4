"""Format errors and other messages as one line for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.api.interruptions import cause_of
from airflow_provider_trackingmore.cli.account import KEY_VARIABLE, URL_VARIABLE
from airflow_provider_trackingmore.cli.exit_codes import ExitCode, exit_code

HINTS = {
    errors.Hint.REGISTER_FIRST: "register it first, with the command create",
    errors.Hint.LIST_CARRIERS: "find the code with the commands carriers and detect",
}
"""Hints that are different on the command line."""


def explain(error: Exception, key_source: str) -> str:
    """Describe an error in one line, with a hint for the command line.

    :param error: the error that ended the command.
    :param key_source: where the API key comes from, such as "connection 'trackingmore_default'".
    :return: the line.
    """
    if exit_code(error) is ExitCode.BUG:
        return printable(f"unexpected {type(error).__name__}: {error}; --debug shows a traceback")
    if not isinstance(error, errors.TrackingMoreError):
        return printable(str(error.args[0]) if error.args else str(error))
    message = with_hint(error, {errors.Hint.CHECK_API_KEY: f"check the API key in {key_source}"})
    if isinstance(cause_of(error), errors.ApiError) and error.http_status == 404 and not error.from_api:
        source = URL_VARIABLE if key_source == KEY_VARIABLE else f"the host of {key_source}"
        message += f". Does {source} end in /v2?"
    return printable(message)


def with_hint(error: errors.TrackingMoreError, hints: Mapping[errors.Hint, str] | None = None) -> str:
    """Return the message of an error with the hint for the command line.

    :param error: the error.
    :param hints: hints in addition to :data:`HINTS`.
    :return: message and hint.
    """
    hint = {**HINTS, **(hints or {})}.get(error.hint, error.hint_text) if error.hint is not None else ""
    return f"{error.message}: {hint}" if hint else error.message


def printable(text: str) -> str:
    """Replace line ends and control characters, which the terminal would interpret.

    :param text: any text.
    :return: the text on one line.
    """
    return "".join(character if character.isprintable() else " " for character in text)
