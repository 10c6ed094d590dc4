"""Sends requests to the control API. Uses the standard library only."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

_opener = build_opener(ProxyHandler({}))


class SandboxError(RuntimeError):
    """The sandbox did not start, cannot be reached, or rejected a request; the message says why."""


class ControlRequests:
    """Sends requests to the control API of a running sandbox, below ``/_sandbox``.

    All methods raise :class:`SandboxError` if the sandbox cannot be reached or rejects the request.

    :param base_url: its base URL, ``http://127.0.0.1:8700/v2``.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request to the control API.

        :param method: HTTP method.
        :param path: path below ``/_sandbox``, such as ``/clock``.
        :param body: the body, sent as JSON.
        :param query: query parameters; None is omitted.
        :return: the decoded JSON response.
        :raises SandboxError: the sandbox cannot be reached, or rejected the request.
        """
        query_string = urlencode({name: value for name, value in query.items() if value is not None})
        root = self.base_url.rstrip("/").removesuffix("/v2")
        url = root + "/_sandbox" + path + ("?" + query_string if query_string else "")
        content = None if body is None else json.dumps(body).encode()
        request = Request(url, content, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - http only
        try:
            with _opener.open(request, timeout=120) as response:
                return json.load(response)
        except HTTPError as error:
            raise SandboxError(f"{method} {path}: {_error_detail(error.read())}") from None
        except URLError as error:
            raise SandboxError(f"{method} {path}: there is no sandbox at {self.base_url}: {error.reason}") from None


def _error_detail(body: bytes) -> str:
    """Extract the message of an error response."""
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    return detail if isinstance(detail, str) else body.decode(errors="replace")
