"""Errors and other messages as one line for the terminal."""

from __future__ import annotations

from airflow_provider_trackingmore.api import errors
from airflow_provider_trackingmore.cli.account import KEY_VARIABLE, URL_VARIABLE
from airflow_provider_trackingmore.cli.exit_codes import ExitCode, exit_code

HERE = {
    errors.HINTS[errors.TrackingNotFoundError]: "register it first, with the command create",
    "list_carriers() has the codes, detect_carrier() proposes one": "the commands carriers and detect know the codes",
    "the base URL (host) of the connection": "the base URL",
    "list_carriers() has them": "the command carriers lists them",
}
"""Hints for DAGs, and what they are on the command line."""


def explain(error: Exception, key_source: str) -> str:
    """Describe an error in one line, with a hint for the command line.

    :param error: the error that ended the command.
    :param key_source: where the API key comes from, such as "connection 'trackingmore_default'".
    :return: the line.
    """
    if exit_code(error) is ExitCode.BUG:
        return printable(f"unexpected {type(error).__name__}: {error}; --debug shows a traceback")
    message = str(error.args[0]) if error.args else str(error)
    message = message.replace(errors.HINTS[errors.AuthenticationError], f"check the API key in {key_source}")
    if isinstance(error, errors.ApiError) and error.http_status == 404 and not error.from_api:
        source = URL_VARIABLE if key_source == KEY_VARIABLE else f"the host of {key_source}"
        message += f". Does {source} end in /v2?"
    return printable(reworded(message))


def reworded(message: str) -> str:
    """Replace the hints for DAGs in a message by hints for the command line.

    :param message: a message of the package.
    :return: the message for the command line.
    """
    for elsewhere, here in HERE.items():
        message = message.replace(elsewhere, here)
    return message


def printable(text: str) -> str:
    """Replace control characters, which could otherwise steer the terminal, and line ends.

    :param text: any text.
    :return: the text on one line.
    """
    return "".join(character if character.isprintable() else " " for character in text)
