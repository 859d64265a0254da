"""A time limit that interrupts Python code, where the system has interval timers.

It is the soft one: code that catches everything goes on. The hard limit is the runner's.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

AGAIN = 0.2  # seconds until it strikes again, for code that has caught the first


class TimeUpError(BaseException):
    """The time is over. No `Exception`, so that ``except Exception`` lets it through."""


class Alarm:
    """Raise `TimeUpError` in the main thread when a time is over.

    Without interval timers (Windows), or in another thread, nothing is ever raised.
    """

    def __init__(self) -> None:
        self.end: float | None = None
        self.held = 0
        main = threading.current_thread() is threading.main_thread()
        self.works = hasattr(signal, "setitimer") and main

    @property
    def left(self) -> float | None:
        """Seconds that are left, None without a limit."""
        return None if self.end is None else max(0.0, self.end - time.monotonic())

    @contextlib.contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Limit what is done in this context; inside another limit, the outer one counts."""
        if self.end is not None:
            yield
            return
        self.end = time.monotonic() + seconds
        if self.works:
            signal.signal(signal.SIGALRM, self._strike)
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), AGAIN)
        try:
            try:
                yield
            finally:
                self.stop()
        except TimeUpError:
            self.stop()  # it may have struck while the line above was at work
            raise

    def stop(self) -> None:
        """Lift the limit."""
        self.end = None
        if self.works:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let no limit strike in this context; it strikes afterwards, or in `freely`."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
        self._check()

    def freely(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a function in which the limit may strike, though it is held around."""
        held, self.held = self.held, 0
        try:
            self._check()
            result = function(*arguments, **named)
            self.held = held
        except BaseException:
            self.held = held
            raise
        return result

    def _strike(self, number: int, frame: Any) -> None:
        self._check()

    def _check(self) -> None:
        if self.works and not self.held and self.end is not None and not self.left:
            raise TimeUpError("the time is over")
