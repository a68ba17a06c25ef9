"""What every behaviour of the lab's API shares: the lab itself, its timers, and the way to lay itself over moto.

moto's backends stay the store. A behaviour is a function that stands in front of one backend method:

    def install(lab: Lab) -> None:
        @lab.extend(EC2Backend, "terminate_instances")
        def terminate_instances(original, backend, instance_ids):
            ...                                  # refuse with moto's own exceptions, as AWS would
            result = original(backend, instance_ids)
            ...                                  # change moto's models to what AWS would say
            lab.changed()
            return result

Each module of this package that has behaviours has such an `install`; server.py calls them all.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from dockeree.lab.settings import LabSettings
from dockeree.lab.world import NodeDriver, Wiring

log = logging.getLogger("dockeree.lab.aws")

Part = TypeVar("Part")


class Timers:
    """Runs functions later, one after the other, in a thread of its own. Blocking work belongs in `Lab.in_thread`."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="lab-timers", daemon=True)
        self._thread.start()

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call `function` in `seconds` (real seconds: the caller has scaled them)."""
        with self._wake:
            heapq.heappush(self._queue, (time.monotonic() + seconds, next(self._order), function))
            self._wake.notify()

    def close(self) -> None:
        """Forget what has not run yet and end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._closed and (not self._queue or self._queue[0][0] > time.monotonic()):
                    self._wake.wait(None if not self._queue else max(0.0, self._queue[0][0] - time.monotonic()))
                if self._closed:
                    return
                function = heapq.heappop(self._queue)[2]
            try:
                function()
            except Exception:
                log.exception("a timer failed")


class Lab:
    """One lab's API side: its settings, its nodes, its network, and the patches laid over moto.

    moto's backends are global to a process, so there is one Lab a process (tests close theirs before the next).
    """

    def __init__(self, settings: LabSettings, driver: NodeDriver, wiring: Wiring) -> None:
        self.settings = settings
        self.driver = driver
        self.wiring = wiring
        self.timers = Timers()
        self.lock = threading.RLock()
        """Held during each API call, and by whoever else reads or changes moto's models: moto itself locks nothing.
        Nothing that takes long may be done under it (`in_thread` is for that)."""
        self.on_change: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []
        self._parts: dict[Callable[[Lab], Any], Any] = {}

    def part(self, kind: Callable[[Lab], Part]) -> Part:
        """This lab's one `kind`, made with the lab at first use: what a behaviour keeps, and what others ask of it.

        A part with a `close` method is closed with the lab.
        """
        with self.lock:
            if kind not in self._parts:
                self._parts[kind] = kind(self)
            return self._parts[kind]

    def extend(self, owner: type[Any], name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Stand in front of method `name` of `owner`: the function gets the original method, then its arguments."""
        original = getattr(owner, name)
        had_own = name in vars(owner)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            def extended(backend: Any, *args: Any, **kwargs: Any) -> Any:
                return function(original, backend, *args, **kwargs)

            setattr(owner, name, extended)
            self._undo.append((lambda: setattr(owner, name, original)) if had_own else (lambda: delattr(owner, name)))
            return function

        return decorate

    def scaled(self, seconds: float) -> float:
        """AWS's delay in this lab's time."""
        return seconds * self.settings.time_scale

    def later(self, aws_seconds: float, function: Callable[[], None]) -> None:
        """Call `function` after what takes `aws_seconds` on AWS."""
        self.timers.after(self.scaled(aws_seconds), function)

    def in_thread(self, name: str, function: Callable[[], None]) -> None:
        """Do blocking work (booting a node) beside everything else; a failure is logged, never lost."""

        def guarded() -> None:
            try:
                function()
            except Exception:
                log.exception("%s failed", name)

        threading.Thread(target=guarded, name=name, daemon=True).start()

    def changed(self) -> None:
        """Something that nodes or network see has changed: read a new snapshot."""
        for listener in self.on_change:
            listener()

    def close(self) -> None:
        """Lift every patch off moto and stop the timers. Nodes and network are their owners' to close."""
        self.timers.close()
        for part in reversed(list(self._parts.values())):
            if hasattr(part, "close"):
                part.close()
        while self._undo:
            self._undo.pop()()
