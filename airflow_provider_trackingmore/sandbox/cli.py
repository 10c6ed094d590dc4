"""The command line of the sandbox."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from .clock import ClockError, parse_time
from .limits import CACHED_JOURNEYS, DEFAULT_QUOTA, MAX_AGE_DAYS, MAX_EVENTS, MAX_PARCELS, MAX_QUOTA
from .switches import SWITCHES, validate_positions

KEYS_VARIABLE = "TRACKINGMORE_SANDBOX_API_KEYS"
"""API keys as a JSON list. Other users of the machine can read arguments, but not the environment."""
DEFAULT_KEY = "sandbox-key"
_MISSING_EXTRA = "The sandbox needs FastAPI and uvicorn: pip install 'airflow-provider-trackingmore[sandbox]'"


def create_parser() -> argparse.ArgumentParser:
    """Define the command line.

    :return: the parser.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_trackingmore.sandbox",
        description="Run a stand-in for TrackingMore API v2. Prints its base URL once it is ready.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8700, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help=f"an API key; repeat it for more accounts (default: the JSON list in {KEYS_VARIABLE}, or {DEFAULT_KEY})",
    )
    parser.add_argument(
        "--time-scale", type=float, default=1.0, metavar="N", help="clock seconds per real second (default: 1)"
    )
    parser.add_argument("--no-limits", action="store_true", help="disable the rate limits")
    parser.add_argument("--seed", type=int, default=0, help="seed of all parcel journeys (default: 0)")
    parser.add_argument(
        "--quota", type=float, default=DEFAULT_QUOTA, help="quota of each account in trackings (default: %(default)s)"
    )
    parser.add_argument("--start", metavar="ISO-TIME", help="start of the clock (default: now)")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help=f"set a switch: {', '.join(SWITCHES)}"
    )
    parser.add_argument("--keep-answers", action="store_true", help="remember what was answered about each shipment")
    parser.add_argument(
        "--cached-journeys",
        type=int,
        default=CACHED_JOURNEYS,
        metavar="N",
        help="how many parcels of an account keep their journey as JSON (default: %(default)s)",
    )
    parser.add_argument(
        "--parcels", type=int, default=0, metavar="N", help="how many parcels the first account has at the start"
    )
    parser.add_argument(
        "--over-days",
        type=float,
        default=90,
        metavar="DAYS",
        help="register these parcels within this many days before the start (default: 90)",
    )
    parser.add_argument(
        "--events",
        type=int,
        default=10,
        metavar="N",
        help="how many events a delivered one of these parcels has at least (default: 10)",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="exit when the parent process exits")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox until SIGTERM or SIGINT.

    :param argv: the arguments; None means those of the process.
    :return: the exit code.
    """
    parent = os.getppid()  # before anything takes time: it may exit before the server runs
    parser = create_parser()
    arguments = parser.parse_args(argv)
    try:
        keys = _read_keys(arguments.api_key)
        pairs = [pair.partition("=") for pair in arguments.switch]
        switches = validate_positions({name: value for name, _, value in pairs})
        start = None if arguments.start is None else parse_time(arguments.start)
        if not 0 < arguments.time_scale < float("inf"):
            raise ClockError("--time-scale must be a number above 0")
        _validate_numbers(arguments)
    except ValueError as error:
        parser.error(str(error))
    try:
        from .app import create_app
        from .seeding import seed_at_start
        from .server import bind, serve
        from .state import SandboxState, Settings
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("fastapi", "uvicorn", "starlette", "pydantic"):
            raise
        sys.stderr.write(_MISSING_EXTRA + "\n")
        return 1
    settings = Settings(
        api_keys=keys,
        time_scale=arguments.time_scale,
        start=start,
        seed=arguments.seed,
        quota=arguments.quota,
        limits=not arguments.no_limits,
        switches=switches,
        keep_answers=arguments.keep_answers,
        cached_journeys=arguments.cached_journeys,
        parcels=arguments.parcels,
        over_days=arguments.over_days,
        events=arguments.events,
    )
    try:
        sock = bind(arguments.host, arguments.port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}\n")
        return 1
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    url = f"http://{host}:{sock.getsockname()[1]}/v2"
    state = SandboxState(settings)
    seed_at_start(state)
    serve(
        lambda connections: create_app(state, connections),
        sock,
        lambda: _print_url(url),
        parent=parent if arguments.exit_with_parent else None,
        background=state.webhooks.run,
    )
    return 0


def _read_keys(given: Sequence[str] | None) -> list[str]:
    keys: object = given
    if given is None:
        text = os.environ.get(KEYS_VARIABLE)
        try:
            keys = json.loads(text) if text else [DEFAULT_KEY]
        except ValueError:
            keys = None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{KEYS_VARIABLE} must be a JSON list of API keys")
    if not all(keys) or len(set(keys)) < len(keys):
        raise ValueError("every account needs an API key of its own")
    return keys


def _validate_numbers(arguments: argparse.Namespace) -> None:
    for option, value, highest in (
        ("--port", arguments.port, 65_535),
        ("--quota", arguments.quota, MAX_QUOTA),
        ("--parcels", arguments.parcels, MAX_PARCELS),
        ("--over-days", arguments.over_days, MAX_AGE_DAYS),
        ("--events", arguments.events, MAX_EVENTS),
        ("--cached-journeys", arguments.cached_journeys, MAX_PARCELS),
    ):
        if not 0 <= value <= highest:
            raise ValueError(f"{option} must be a number from 0 to {highest}")


def _print_url(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
