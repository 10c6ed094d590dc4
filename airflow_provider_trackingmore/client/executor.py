"""Threads for the calls of one account, so that an account that hangs holds up no other one.

The event loop's default executor has a few threads for everybody: eight accounts that hang fill it up. It also waits
for its threads when the interpreter exits.

An account has at most ``MAX_THREADS``. A call that was cancelled keeps its thread until its exchange is over, which
``timeout_seconds`` bounds. It still counts, because cancelling would otherwise start threads without end: the next
calls of that account wait meanwhile, and no other account notices.
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
"""For each account: calls leave a second apart, so this is enough for answers that take four seconds."""
IDLE_SECONDS = 5.0
"""A thread without work ends after this time. At a call a second it never does, and a silent account has none."""


class AccountExecutor(Executor):
    """Runs the calls of one account in daemon threads, which are started when needed and end when idle.

    :param account: the account's fingerprint, for the names of the threads.
    :param max_threads: how many threads it may have.
    """

    def __init__(self, account: str, *, max_threads: int = MAX_THREADS) -> None:
        self._account = account
        self._max_threads = max_threads
        self._workers = _Workers(max_threads)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run a function as soon as a thread is free.

        :param fn: the function, with its arguments.
        :return: its result to be. Cancelling it before a thread took it keeps the function from being run.
        """
        if self._workers.pid != os.getpid():
            # A fork copies no threads, and its copy of the lock may be held for ever.
            self._workers = _Workers(self._max_threads)
        future: Future[R] = Future()
        self._workers.add(future, lambda: fn(*args, **kwargs), f"trackingmore-{self._account}")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads that have nothing to do; the next call starts new ones.

        :param wait: ignored: nobody waits for a server that hangs.
        :param cancel_futures: ignored: whoever awaits a call cancels it.
        """
        if self._workers.pid == os.getpid():
            self._workers.end_idle_threads()


class _Workers:
    """The threads of one process."""

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
                except RuntimeError:  # the system allows no further thread
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
                self._is_free()
            del future, function  # an idle thread keeps no answer alive

    def _run(self, future: Future[Any], function: Callable[[], Any]) -> None:
        # Whoever is given the result may call again at once: this thread counts as free by then.
        try:
            result = function()
        except BaseException as error:
            self._is_free()
            future.set_exception(error)
        else:
            self._is_free()
            future.set_result(result)

    def _is_free(self) -> None:
        with self._changed:
            self._busy -= 1

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Wait for a call; None after a while without one, and then the thread no longer counts."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending, IDLE_SECONDS)
            if self._queue:
                self._busy += 1
                return self._queue.popleft()
            self._threads -= 1
            return None


_in_this_process: dict[str, AccountExecutor] = {}


def account_executor(account: str) -> AccountExecutor:
    """Find the executor of an account in this process.

    :param account: the account's fingerprint.
    :return: the same object for the same account, whatever its clients.
    """
    return _in_this_process.setdefault(account, AccountExecutor(account))
