"""A stand-in for Slack's incoming webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass(frozen=True)
class SlackWebhook:
    """A running server.

    :param address: its address.
    :param texts: the texts that were posted to it.
    """

    address: str
    texts: list[str] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as JSON."""
        return json.dumps({"conn_type": "slackwebhook", "host": self.address, "password": "/T0/B0/token"})


@contextmanager
def slack_webhook() -> Iterator[SlackWebhook]:
    """Run the server, as long as the ``with`` block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webhook.texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        webhook = SlackWebhook(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield webhook
        finally:
            server.shutdown()
            thread.join()
