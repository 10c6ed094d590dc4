"""A gateway: verify webhooks of TrackingMore, and create an asset event for each."""

import hmac
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from airflow_provider_trackingmore.events.webhooks import read_webhook
from airflow_provider_trackingmore.exceptions import WebhookError

AIRFLOW = os.environ["AIRFLOW_URL"]  # http://airflow-api-server:8080
ASSET_ID = int(os.environ["ASSET_ID"])  # GET /api/v2/assets?name_pattern=... shows it
PATH = f"/webhooks/{os.environ['WEBHOOK_SECRET']}"
EMAIL = os.environ["TRACKINGMORE_EMAIL"]
MAX_BYTES = 1_000_000


def forward(body: bytes) -> int:
    """Create an asset event, and return the HTTP status of the answer."""
    try:
        webhook = read_webhook(body, account_email=EMAIL, now=time.time())
    except WebhookError:
        return 401
    event = {"asset_id": ASSET_ID, "extra": webhook.key._asdict()}
    headers = {"Authorization": f"Bearer {os.environ['AIRFLOW_TOKEN']}"}
    url = f"{AIRFLOW}/api/v2/assets/events"
    created = requests.post(url, json=event, headers=headers, timeout=10)
    return 200 if created.ok else 503  # TrackingMore sends it again


class Gateway(BaseHTTPRequestHandler):
    """Handles ``POST /webhooks/<secret>``."""

    timeout = 10

    def do_POST(self) -> None:
        """Answer one webhook."""
        length = int(self.headers.get("Content-Length") or 0)
        if not hmac.compare_digest(self.path.encode(), PATH.encode()):
            status = 404
        elif not 0 <= length <= MAX_BYTES:
            status = 413
        else:
            status = forward(self.rfile.read(length))
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(b"200")

    def log_request(self, code="-", size="-") -> None:
        """Log the status alone, since the path holds the secret."""
        self.log_message("webhook: %s", code)


if __name__ == "__main__":
    address = ("127.0.0.1", int(os.environ.get("PORT", "8081")))
    with ThreadingHTTPServer(address, Gateway) as server:
        server.serve_forever()
