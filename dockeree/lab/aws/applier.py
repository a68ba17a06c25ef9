"""Keeps the network as the API has been told: after each change a new snapshot, applied where it differs."""

from __future__ import annotations

import logging
import threading

from dockeree.lab.aws.core import Lab
from dockeree.lab.aws.snapshot import read_snapshot
from dockeree.lab.world import LabError, Snapshot

log = logging.getLogger("dockeree.lab.aws")

DEBOUNCE_SECONDS = 0.02
RETRY_SECONDS = 2.0


class Applier:
    """One thread that applies snapshots, the latest each time. A part of the lab: `lab.part(Applier)`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._state = threading.Condition()
        self._asked = 0
        self._applied = 0
        self._last: Snapshot | None = None
        self._failure: Exception | None = None
        self._closing = threading.Event()
        lab.on_change.append(self._ask)
        self._thread = threading.Thread(target=self._run, name="lab-applier", daemon=True)
        self._thread.start()

    def wait_applied(self, timeout_seconds: float = 60.0) -> None:
        """Wait until the network is at least as new as this call. Not to be called while holding `lab.lock`.

        Raises LabError where the network could not be made so.
        """
        with self._state:
            self._asked += 1
            wanted = self._asked
            self._state.notify_all()
            done = self._state.wait_for(lambda: self._applied >= wanted or self._closing.is_set(), timeout_seconds)
            if self._failure is not None:
                raise LabError(f"the network could not be made: {self._failure}") from self._failure
            if not done or self._applied < wanted:
                raise LabError(f"the network was not made within {timeout_seconds:.0f} s")

    def close(self) -> None:
        """End the thread; a snapshot that is being applied is finished."""
        self._closing.set()
        with self._state:
            self._state.notify_all()
        self._thread.join(timeout=60)

    def _ask(self) -> None:
        with self._state:
            self._asked += 1
            self._state.notify_all()

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._asked > self._applied or self._closing.is_set())
            if self._closing.wait(DEBOUNCE_SECONDS):
                return
            with self._state:
                asked = self._asked
            failure = self._apply()
            with self._state:
                self._failure = failure
                self._applied = asked
                self._state.notify_all()

    def _apply(self) -> Exception | None:
        try:
            with self._lab.lock:
                snapshot = read_snapshot(self._lab)
            if snapshot != self._last:
                self._last = None
                self._lab.wiring.apply(snapshot)
                self._last = snapshot
        except Exception as error:
            log.exception("the network could not be made")
            self._lab.timers.after(RETRY_SECONDS, self._ask)
            return error
        return None
