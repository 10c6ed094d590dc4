"""``python -m demo [standalone]``: what ``make demo`` and ``make standalone`` run."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while the program is being imported
    from .program import run_program

    sys.exit(run_program(sys.argv[1:]))
