"""What an error means to a script and to the person before the terminal: exit codes, and messages in one line."""

from __future__ import annotations

import enum

from airflow_provider_trackingmore.api import errors


class Exit(enum.IntEnum):
    """The exit codes."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    ACCOUNT = 3
    QUOTA = 4
    SERVICE = 5
    BUG = 70
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.REFUSED: "something was refused or not found",
    Exit.USAGE: "wrong arguments, or a file that cannot be read",
    Exit.ACCOUNT: "no connection, or a key that TrackingMore does not accept",
    Exit.QUOTA: "the account's quota is used up, or does not suffice",
    Exit.SERVICE: "TrackingMore or the network failed, in spite of repetitions",
    Exit.BUG: "a mistake in this program; --debug shows where",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
}

QUOTA_CODES = frozenset(code for code, kind in errors.BY_CODE.items() if kind is errors.QuotaExceededError)


class CommandError(Exception):
    """A command cannot go on.

    :param message: what happened and the way out.
    :param code: the exit code.
    """

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def exit_code(error: Exception) -> Exit:
    """Choose the exit code.

    :param error: what ended the command.
    :return: the code.
    """
    match error:
        case CommandError():
            return error.code
        case errors.InvalidArgumentError():
            return Exit.USAGE
        case errors.ApiError(http_status=int(), from_api=False):  # a proxy's word on key or quota counts for nothing
            return Exit.SERVICE
        case errors.AuthenticationError():
            return Exit.ACCOUNT
        case errors.QuotaExceededError():
            return Exit.QUOTA
        case (
            errors.RateLimitError()
            | errors.ServiceUnavailableError()
            | errors.ServerError()
            | errors.TransportError()
            | errors.MalformedResponseError()
        ):
            return Exit.SERVICE
        case errors.ApiError():
            return Exit.REFUSED
        case errors.TrackingMoreError():  # what is left are settings that cannot work
            return Exit.ACCOUNT
        case _:
            return Exit.BUG


HERE = {
    errors.HINTS[errors.TrackingNotFoundError]: "register it first, with the command create",
    "list_carriers() has the codes, detect_carrier() proposes one": "the commands carriers and detect know the codes",
    "the base URL (host) of the connection": "the base URL",
    "list_carriers() has them": "the command carriers lists them",
}
"""Ways out that are for DAGs, and what they are from a command line."""


def explain(error: Exception, key_place: str) -> str:
    """Put an error into one line, with the way out as it is from a command line.

    :param error: what ended the command.
    :param key_place: where the key came from, such as "connection 'trackingmore_default'".
    :return: the line.
    """
    if exit_code(error) is Exit.BUG:
        return printable(f"unexpected {type(error).__name__}: {error}; --debug shows where")
    message = str(error.args[0]) if error.args else str(error)
    message = message.replace(errors.HINTS[errors.AuthenticationError], f"check the API key in {key_place}")
    return printable(reworded(message))


def reworded(message: str) -> str:
    """Replace the ways out of a message that do not exist on a command line.

    :param message: from the rest of the package.
    :return: the same with ways out that do.
    """
    for elsewhere, here in HERE.items():
        message = message.replace(elsewhere, here)
    return message


def printable(text: str) -> str:
    """Keep what others wrote from steering the terminal.

    :param text: any text.
    :return: the same on one line, without control characters.
    """
    return "".join(character if character.isprintable() else " " for character in text)
