"""Work on many nodes at once."""

from __future__ import annotations

import threading

import pytest

from dockeree.errors import DockereeError, SshError
from dockeree.ssh.nodes import on_each, results


def _fails_on(*bad: str):  # type: ignore[no-untyped-def]
    def work(node: str) -> str:
        if node in bad:
            raise SshError(f"{node} does not answer", "Look at it.")
        return node.upper()

    return work


def test_every_node_keeps_its_result_or_error_in_order() -> None:
    outcomes = on_each(["a", "b", "c"], _fails_on("b"))
    assert [outcome.result for outcome in outcomes] == ["A", None, "C"]
    assert [str(outcome.error) for outcome in outcomes] == ["None", "b does not answer", "None"]


def test_nodes_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(8)
    assert results(on_each(list(range(8)), lambda node: together.wait(10) >= 0)) == [True] * 8


def test_one_failure_is_raised_as_it_is() -> None:
    with pytest.raises(SshError, match=r"^b does not answer$"):
        results(on_each(["a", "b"], _fails_on("b")))


def test_several_failures_are_all_told() -> None:
    with pytest.raises(DockereeError, match="2 of 3 nodes failed:\n- a does not answer\n- c does not answer") as failed:
        results(on_each(["a", "b", "c"], _fails_on("a", "c")))
    assert failed.value.hint == "Look at it."


def test_a_mistake_in_the_work_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        results(on_each([0], lambda node: 1 / node))


def test_no_nodes_no_work() -> None:
    assert results(on_each([], _fails_on())) == []
