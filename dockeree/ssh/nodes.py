"""The same thing done on many nodes at once; one bad node neither holds up nor kills the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from dockeree.errors import DockereeError

N = TypeVar("N")
R = TypeVar("R")

MAX_THREADS = 32


@dataclass(frozen=True)
class Outcome(Generic[N, R]):
    """What came of one node: `result`, or `error` where it failed."""

    node: N
    result: R | None
    error: Exception | None


def on_each(nodes: Sequence[N], work: Callable[[N], R], *, max_threads: int = MAX_THREADS) -> list[Outcome[N, R]]:
    """Call `work` with each node, in threads, and keep every node's result or error, in the order of `nodes`.

    Each call must have a deadline of its own. Errors that are not Exceptions (KeyboardInterrupt) are raised.
    """
    if not nodes:
        return []
    with ThreadPoolExecutor(min(max_threads, len(nodes)), thread_name_prefix="node") as pool:
        futures = [pool.submit(work, node) for node in nodes]
    outcomes = []
    for node, future in zip(nodes, futures, strict=True):
        error = future.exception()
        if error is None:
            outcomes.append(Outcome[N, R](node, future.result(), None))
        elif isinstance(error, Exception):
            outcomes.append(Outcome[N, R](node, None, error))
        else:
            raise error
    return outcomes


def results(outcomes: Sequence[Outcome[N, R]]) -> list[R]:
    """Every result, when no node failed.

    Raises the error itself when one node failed, or the failures are not dockeree's own; else a DockereeError that
    holds every node's reason and the first hint.
    """
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    known = [error for error in errors if isinstance(error, DockereeError)]
    if len(known) < len(errors):
        raise next(error for error in errors if not isinstance(error, DockereeError))
    if len(known) == 1:
        raise known[0]
    if known:
        reasons = "\n".join(f"- {error.message}" for error in known)
        hint = next((error.hint for error in known if error.hint), "")
        raise DockereeError(f"{len(known)} of {len(outcomes)} nodes failed:\n{reasons}", hint) from known[0]
    return [outcome.result for outcome in outcomes]  # type: ignore[misc]  # no error: each result is an R
