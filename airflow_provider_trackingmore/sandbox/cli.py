"""The sandbox's command line: arguments in, a running server out. Knows nothing of what the server does."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from .clock import ClockError, parse_instant
from .switches import SWITCHES, SwitchError, checked

KEYS_VARIABLE = "TRACKINGMORE_SANDBOX_API_KEYS"
"""Keys as a JSON list: unlike arguments, the environment is not shown to every user of the machine."""
_NO_EXTRA = "The sandbox needs FastAPI and uvicorn: pip install 'airflow-provider-trackingmore[sandbox]'"


def parser() -> argparse.ArgumentParser:
    """Describe the command line.

    :return: the parser.
    """
    described = argparse.ArgumentParser(
        prog="python -m airflow_provider_trackingmore.sandbox",
        description="A stand-in for TrackingMore API v2 with a movable clock. Prints its base URL once it is ready.",
    )
    described.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    described.add_argument("--port", type=int, default=8700, help="port, 0 for a free one (default: %(default)s)")
    described.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help=f"a key; repeat it for more accounts (default: the JSON list in {KEYS_VARIABLE}, or sandbox-key)",
    )
    described.add_argument(
        "--time-scale", type=float, default=1.0, metavar="N", help="clock seconds in a real second (default: 1)"
    )
    described.add_argument("--no-limits", action="store_true", help="switch the rate limits off")
    described.add_argument("--seed", type=int, default=0, help="decides what happens to all parcels (default: 0)")
    described.add_argument(
        "--quota", type=float, default=100_000, help="new trackings in each account (default: 100000)"
    )
    described.add_argument("--start", metavar="ISO-TIME", help="where the clock begins (default: now)")
    described.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help=f"one of {', '.join(SWITCHES)}"
    )
    described.add_argument(
        "--exit-with-parent", action="store_true", help="end when the process that started the sandbox has ended"
    )
    return described


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sandbox until SIGTERM or SIGINT.

    :param argv: the arguments; None takes those of the process.
    :return: the exit code.
    """
    described = parser()
    arguments = described.parse_args(argv)
    try:
        pairs = [pair.partition("=") for pair in arguments.switch]
        switches = checked({name: value for name, _, value in pairs})
        start = None if arguments.start is None else parse_instant(arguments.start)
        if not 0 < arguments.time_scale < float("inf"):
            raise ClockError("--time-scale is a number above 0")
    except (SwitchError, ClockError) as problem:
        described.error(str(problem))
    keys = arguments.api_key or json.loads(os.environ.get(KEYS_VARIABLE, '["sandbox-key"]'))
    try:
        from .app import create_app
        from .server import listen, serve
        from .world import Settings, World
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("fastapi", "uvicorn", "starlette", "pydantic"):
            raise
        sys.stderr.write(_NO_EXTRA + "\n")
        return 1
    settings = Settings(
        api_keys=keys,
        time_scale=arguments.time_scale,
        start=start,
        seed=arguments.seed,
        quota=arguments.quota,
        limits=not arguments.no_limits,
        switches=switches,
    )
    try:
        listening = listen(arguments.host, arguments.port)
    except OSError as problem:
        sys.stderr.write(f"cannot listen at {arguments.host}:{arguments.port}: {problem.strerror}\n")
        return 1
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    url = f"http://{host}:{listening.getsockname()[1]}/v2"
    world = World(settings)
    serve(
        lambda connections: create_app(world, connections),
        listening,
        lambda: _say(url),
        exit_with_parent=arguments.exit_with_parent,
    )
    return 0


def _say(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
