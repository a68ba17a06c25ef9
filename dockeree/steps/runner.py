"""Runs a workflow's steps as a graph: each in a thread of its own, as soon as what it comes after is done.

One failed step stops what depends on it and nothing else. After Ctrl-C nothing new starts; what is under way ends.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockeree.context import Cluster, Interrupted
from dockeree.errors import DockereeError, StepsFailed
from dockeree.steps.step import Step

Work = Callable[[Cluster], bool]


@dataclass(frozen=True)
class Timing:
    """When a step ran, in seconds since the workflow began."""

    key: str
    began_seconds: float
    ended_seconds: float
    changed: bool


@dataclass
class RunResult:
    """What a workflow did: a timing a step, in the order they ended."""

    timings: list[Timing] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether any step changed anything."""
        return any(timing.changed for timing in self.timings)

    @property
    def elapsed_seconds(self) -> float:
        """From the first step's beginning to the last one's end."""
        return max((timing.ended_seconds for timing in self.timings), default=0.0)


@dataclass(frozen=True)
class _Job:
    key: str
    title: str
    after: tuple[str, ...]
    work: Work


def step_key(step: type[Step]) -> str:
    """How a step is named to reports and tests: `group/ClassName`."""
    return f"{step.group}/{step.__name__}"


def run_steps(cluster: Cluster, steps: Sequence[type[Step]]) -> RunResult:
    """Run every step after those in its `after`.

    Raises StepsFailed when steps failed (after everything that did not depend on them has ended), Interrupted
    after Ctrl-C, ValueError when a step comes after one that is not in `steps`.
    """
    _check_closed(steps)
    jobs = [_Job(step_key(s), s.title, tuple(step_key(a) for a in s.after), s().run) for s in steps]
    return _Run(cluster, jobs).execute()


def undo_steps(cluster: Cluster, steps: Sequence[type[Step]]) -> RunResult:
    """Undo every step that has an `undo`, those first that came after others: the same graph with the arrows turned.

    Raises as run_steps does.
    """
    _check_closed(steps)
    undone = [step for step in steps if step.undo is not Step.undo]
    later = _undone_after(steps, undone)
    jobs = [
        _Job(step_key(s), s.undo_title or f"Undo: {s.title}", tuple(step_key(step) for step in later[s]), s().undo)
        for s in reversed(undone)
    ]
    return _Run(cluster, jobs).execute()


def _undone_after(
    steps: Sequence[type[Step]], undone: Sequence[type[Step]]
) -> dict[type[Step], tuple[type[Step], ...]]:
    """Which steps must be undone before each: those that came after it, seen through steps that undo nothing."""
    dependents: dict[type[Step], list[type[Step]]] = {step: [] for step in steps}
    for step in steps:
        for earlier in step.after:
            dependents[earlier].append(step)

    def nearest(step: type[Step]) -> Iterator[type[Step]]:
        for dependent in dependents[step]:
            if dependent in undone:
                yield dependent
            else:
                yield from nearest(dependent)

    return {step: tuple(dict.fromkeys(nearest(step))) for step in undone}


def _check_closed(steps: Sequence[type[Step]]) -> None:
    known = set(steps)
    for step in steps:
        for earlier in step.after:
            if earlier not in known:
                raise ValueError(f"{step.__name__} comes after {earlier.__name__}, which is not in the workflow")


class _Run:
    """One execution of a graph of jobs. The calling thread keeps the books; workers report through a queue."""

    def __init__(self, cluster: Cluster, jobs: Sequence[_Job]) -> None:
        self._cluster = cluster
        self._jobs = {job.key: job for job in jobs}
        self._waiting = dict(self._jobs)
        self._running: set[str] = set()
        self._done: set[str] = set()
        self._ended: queue.SimpleQueue[tuple[str, Timing, BaseException | None]] = queue.SimpleQueue()
        self._failures: dict[str, BaseException] = {}
        self._result = RunResult()
        self._origin_seconds = cluster.clock.now()

    def execute(self) -> RunResult:
        self._cluster.report.plan([(job.key, job.title, job.after) for job in self._jobs.values()])
        self._start_ready()
        while self._running:
            self._collect()
            self._start_ready()
        self._report_skipped()
        if self._failures_without_interruptions():
            raise _steps_failed(self._jobs, self._failures_without_interruptions(), len(self._done))
        if self._cluster.interrupted.is_set() and len(self._done) < len(self._jobs):
            raise Interrupted
        return self._result

    def _start_ready(self) -> None:
        if self._cluster.interrupted.is_set():
            return
        for key, job in list(self._waiting.items()):
            if all(earlier in self._done for earlier in job.after):
                del self._waiting[key]
                self._running.add(key)
                threading.Thread(target=self._work, args=(job,), name=f"step {key}", daemon=True).start()

    def _work(self, job: _Job) -> None:
        """In the job's own thread: run it and hand the outcome over, whatever it is."""
        cluster = self._cluster.for_step(job.key)
        began = self._since_origin()
        error: BaseException | None = None
        changed = False
        try:
            cluster.between_steps(f"before:{job.key}")
            cluster.report.started(job.key)
            changed = job.work(cluster)
            cluster.between_steps(f"after:{job.key}")
        except BaseException as caught:  # noqa: BLE001 - handed to the calling thread, which reports and raises it
            error = caught
        self._ended.put((job.key, Timing(job.key, began, self._since_origin(), changed), error))

    def _collect(self) -> None:
        # A bounded wait, so that Ctrl-C reaches the main thread while a step is under way.
        try:
            key, timing, error = self._ended.get(timeout=0.5)
        except queue.Empty:
            return
        self._running.discard(key)
        seconds = timing.ended_seconds - timing.began_seconds
        if error is None:
            self._done.add(key)
            self._result.timings.append(timing)
            self._cluster.report.finished(key, seconds, timing.changed)
        elif isinstance(error, Interrupted):
            self._failures[key] = error
            self._cluster.report.skipped(key, "the interruption")
        else:
            self._failures[key] = error
            self._cluster.report.failed(key, seconds, error)

    def _report_skipped(self) -> None:
        for key, job in self._waiting.items():
            blocker = next((earlier for earlier in job.after if earlier not in self._done), "the interruption")
            self._cluster.report.skipped(key, blocker)

    def _failures_without_interruptions(self) -> dict[str, BaseException]:
        return {key: error for key, error in self._failures.items() if not isinstance(error, Interrupted)}

    def _since_origin(self) -> float:
        return self._cluster.clock.now() - self._origin_seconds


def _steps_failed(jobs: Mapping[str, _Job], failures: Mapping[str, BaseException], done: int) -> StepsFailed:
    key, error = next(iter(failures.items()))
    message = f"{jobs[key].title}: {error}"
    if len(failures) > 1:
        others = ", ".join(jobs[other].title for other in list(failures)[1:])
        message += f" (also failed: {others})"
    hint = error.hint if isinstance(error, DockereeError) else ""
    failed = StepsFailed(list(failures.items()), message, hint)
    failed.done, failed.total = done, len(jobs)
    return failed


def longest_path(steps: Sequence[type[Step]], result: RunResult) -> tuple[list[str], float]:
    """The chain of steps that took longest, and its seconds: what to make faster, and the least a run can take."""
    seconds = {timing.key: timing.ended_seconds - timing.began_seconds for timing in result.timings}
    best: dict[str, tuple[float, list[str]]] = {}

    def chain(step: type[Step]) -> tuple[float, list[str]]:
        key = step_key(step)
        if key not in best:
            before = max((chain(earlier) for earlier in step.after), default=(0.0, []), key=lambda item: item[0])
            best[key] = (before[0] + seconds.get(key, 0.0), [*before[1], key])
        return best[key]

    total, keys = max((chain(step) for step in steps), default=(0.0, []), key=lambda item: item[0])
    return keys, total
