"""A thread pool per account, so that an account whose requests hang does not block the others.

The event loop's default executor has a few threads for the whole process, so eight accounts that hang would use all of
them. It also waits for its threads when the interpreter exits.

An account has at most ``MAX_THREADS`` threads. A cancelled call occupies its thread until its exchange is over, which
``timeout_seconds`` limits. It still counts, because cancelling would otherwise start ever more threads: the next calls
of that account wait, and other accounts are not affected.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MAX_THREADS = 4
"""Per account. Requests are sent a second apart, so this suffices for responses that take four seconds."""
IDLE_SECONDS = 5.0
"""Idle threads end after this time. At one request per second they never do; an idle account has none."""


class AccountExecutor(Executor):
    """Runs the calls of one account in daemon threads, which start on demand and end when idle.

    :param account: the account's fingerprint, for the names of the threads.
    :param max_threads: how many threads it may have.
    """

    def __init__(self, account: str, *, max_threads: int = MAX_THREADS) -> None:
        self._account = account
        self._max_threads = max_threads
        self._workers = _Workers(max_threads)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run a function as soon as a thread is idle.

        :param fn: the function, with its arguments.
        :return: its future. If it is cancelled before a thread starts it, the function is not run.
        """
        if self._workers.pid != os.getpid():
            # A fork copies no threads, and its copy of the lock may never be released.
            self._workers = _Workers(self._max_threads)
        future: Future[R] = Future()
        self._workers.add(future, lambda: fn(*args, **kwargs), f"trackingmore-{self._account}")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the idle threads; the next call starts new ones.

        :param wait: ignored, so that a server that hangs does not block the shutdown.
        :param cancel_futures: ignored; the caller of a request cancels it.
        """
        if self._workers.pid == os.getpid():
            self._workers.end_idle_threads()


class _Workers:
    """The threads of an account in one process."""

    def __init__(self, max_threads: int) -> None:
        self.pid = os.getpid()
        self._max_threads = max_threads
        self._changed = threading.Condition()
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0
        self._busy = 0
        self._ending = False

    def add(self, future: Future[Any], function: Callable[[], Any], thread_name: str) -> None:
        with self._changed:
            self._ending = False
            while self._queue and self._queue[0][0].cancelled():
                self._queue.popleft()
            self._queue.append((future, function))
            if self._threads - self._busy >= len(self._queue):
                self._changed.notify()
            elif self._threads < self._max_threads:
                try:
                    threading.Thread(target=self._work, name=thread_name, daemon=True).start()
                except RuntimeError:  # the system allows no more threads
                    if not self._threads:
                        self._queue.pop()
                        raise
                else:
                    self._threads += 1

    def end_idle_threads(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            future, function = job
            del job
            if future.set_running_or_notify_cancel():
                self._run(future, function)
            else:
                self._mark_idle()
            del future, function  # do not keep the response alive in an idle thread

    def _run(self, future: Future[Any], function: Callable[[], Any]) -> None:
        # The caller may submit the next call as soon as it has the result, so this thread must count as idle before.
        try:
            result = function()
        except BaseException as error:
            self._mark_idle()
            future.set_exception(error)
        else:
            self._mark_idle()
            future.set_result(result)

    def _mark_idle(self) -> None:
        with self._changed:
            self._busy -= 1

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Wait for a call. After a while without one return None, and no longer count the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending, IDLE_SECONDS)
            if self._queue:
                self._busy += 1
                return self._queue.popleft()
            self._threads -= 1
            return None


_executors: dict[str, AccountExecutor] = {}


def account_executor(account: str) -> AccountExecutor:
    """Return the executor of an account in this process.

    :param account: the account's fingerprint.
    :return: the same object for all clients of the account.
    """
    return _executors.setdefault(account, AccountExecutor(account))
