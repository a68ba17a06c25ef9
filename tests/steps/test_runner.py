"""The runner: overlap, order, failure, interruption."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from dockeree.context import Cluster, Interrupted
from dockeree.errors import DockereeError, StepsFailed
from dockeree.report import SilentReport
from dockeree.steps.runner import longest_path, run_steps, step_key, undo_steps
from dockeree.steps.step import Step


class Recorder(SilentReport):
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def finished(self, key: str, seconds: float, changed: bool) -> None:
        self.events.append(("finished", key))

    def failed(self, key: str, seconds: float, error: BaseException) -> None:
        self.events.append(("failed", key))

    def skipped(self, key: str, because_of: str) -> None:
        self.events.append(("skipped", f"{key} because of {because_of}"))


@dataclass(frozen=True)
class Fakes:
    report: Recorder = field(default_factory=Recorder)

    def cluster(self) -> Cluster:
        nothing: Any = None
        return Cluster(config=nothing, state=nothing, aws=nothing, connect=nothing, report=self.report)


def step(name: str, *after: type[Step], run: Any = None, undo: Any = None) -> type[Step]:
    def run_method(self: Step, cluster: Cluster) -> bool:
        return bool(run(cluster)) if run else False

    def undo_method(self: Step, cluster: Cluster) -> bool:
        return bool(undo(cluster))

    methods = {"run": run_method} | ({"undo": undo_method} if undo else {})
    return type(name, (Step,), {"title": name, "group": "g", "after": after, **methods})


def test_independent_steps_overlap() -> None:
    meeting = threading.Barrier(2, timeout=10)
    left = step("Left", run=lambda _: meeting.wait() >= 0)
    right = step("Right", run=lambda _: meeting.wait() >= 0)
    assert run_steps(Fakes().cluster(), (left, right)).changed


def test_a_step_waits_for_those_before_it_and_undo_turns_the_order_round() -> None:
    order: list[str] = []
    first = step("First", run=lambda _: order.append("first"), undo=lambda _: order.append("undo first"))
    second = step("Second", first, run=lambda _: order.append("second"), undo=lambda _: order.append("undo second"))
    assert not run_steps(Fakes().cluster(), (first, second)).changed
    undo_steps(Fakes().cluster(), (first, second))
    assert order == ["first", "second", "undo second", "undo first"]


def test_undo_passes_over_steps_that_undo_nothing_and_keeps_the_order_through_them() -> None:
    fakes, order = Fakes(), []
    first = step("First", undo=lambda _: order.append("first"))
    waits = step("Waits", first)
    last = step("Last", waits, undo=lambda _: order.append("last"))
    undo_steps(fakes.cluster(), (first, waits, last))
    assert order == ["last", "first"]
    assert fakes.report.events == [("finished", "g/Last"), ("finished", "g/First")]


def test_a_failure_stops_what_depends_on_it_and_nothing_else() -> None:
    fakes, ran = Fakes(), []

    def fail(_: Cluster) -> bool:
        raise DockereeError("no capacity", hint="try another type")

    broken = step("Broken", run=fail)
    depends = step("Depends", broken, run=lambda _: ran.append("depends"))
    other = step("Other", run=lambda _: ran.append("other"))
    with pytest.raises(StepsFailed) as caught:
        run_steps(fakes.cluster(), (broken, depends, other))
    assert ran == ["other"]
    assert caught.value.message == "Broken: no capacity"
    assert caught.value.hint == "try another type"
    assert (caught.value.done, caught.value.total) == (1, 3)
    assert ("skipped", "g/Depends because of g/Broken") in fakes.report.events


def test_after_an_interruption_nothing_new_starts() -> None:
    fakes, ran = Fakes(), []
    cluster = fakes.cluster()
    first = step("First", run=lambda c: c.interrupted.set())
    second = step("Second", first, run=lambda _: ran.append("second"))
    with pytest.raises(Interrupted):
        run_steps(cluster, (first, second))
    assert ran == []
    assert ("finished", "g/First") in fakes.report.events


def test_an_interruption_in_the_very_last_step_is_success() -> None:
    only = step("Only", run=lambda c: c.interrupted.set())
    assert run_steps(Fakes().cluster(), (only,)).timings[0].key == "g/Only"


def test_a_workflow_must_hold_what_its_steps_come_after() -> None:
    missing = step("Missing")
    with pytest.raises(ValueError, match="Lonely comes after Missing"):
        run_steps(Fakes().cluster(), (step("Lonely", missing),))


def test_the_longest_path_is_the_slowest_chain() -> None:
    class Ticks:
        seconds: ClassVar[float] = 0.0

    quick = step("Quick")
    slow = step("Slow")
    last = step("Last", quick, slow)
    result = run_steps(Fakes().cluster(), (quick, slow, last))
    keys, total = longest_path((quick, slow, last), result)
    assert keys[-1] == step_key(last)
    assert len(keys) == 2
    assert total >= 0
