"""Killed (`kill -9`) at every boundary between two steps, `up` and `destroy` run again go on as if nothing had been.

- A chain over one cluster: `up` is killed at each boundary in turn, as they come in a whole run; a last `up` finishes,
  and everything is there once. `destroy` is then killed in the same way. One chain keeps its local files, one loses
  them at every death.
- A cluster for every boundary: `up` dies there, all local files are lost, `destroy` dies at a boundary of its own, the
  files are lost again, and the last `destroy` leaves nothing.

A death takes with it whatever steps were under way beside it, so most of them come in the middle of something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.account_scan import Scan, difference
from support.quick_command import KILLED
from support.small_cluster import EXPECTED, SmallCluster, counts

from dockeree.lab.control import RunningLab
from dockeree.steps.runner import step_key
from dockeree.workflows.up import CLOUD, SWARM, UP

BOUNDARIES = [f"{edge}:{step_key(step)}" for step in (*CLOUD, *SWARM) for edge in ("before", "after")]
BEFORE_ANYTHING = BOUNDARIES[0]
REGIONS = ("us-east-2", "us-west-2", "eu-west-1")
"""Each throwaway cluster has one of these to itself, so that what is left in it is the cluster's."""


@dataclass(frozen=True)
class Whole:
    """What runs without a death passed on their way up and down, in the order in which it came."""

    up: list[str]
    destroy: list[str]


@pytest.fixture(scope="module")
def whole(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """One cluster up and down, which shows the order of the boundaries and what a cluster consists of."""
    folder = tmp_path_factory.mktemp("whole")
    cluster = SmallCluster.make(lab, folder / "cluster", "whole")
    before = cluster.scan()
    ended = cluster.up(passed=folder / "up")
    assert ended.code == 0, ended.stderr
    assert counts(before, cluster.scan()) == EXPECTED
    ended = cluster.destroy(passed=folder / "destroy")
    assert ended.code == 0, ended.stderr
    assert difference(before, cluster.scan()) == {}
    return Whole(*((folder / command).read_text().splitlines() for command in ("up", "destroy")))


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(len(REGIONS), thread_name_prefix="killed") as executor:
        yield executor
        executor.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def throwaways(
    lab: RunningLab, whole: Whole, pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Future[None]]:
    """A story for every boundary, each begun as soon as a region is free."""
    regions: SimpleQueue[str] = SimpleQueue()
    for region in REGIONS:
        regions.put(region)
    folder = tmp_path_factory.mktemp("throwaways")

    def story(number: int, boundary: str) -> None:
        region = regions.get()
        try:
            cluster = SmallCluster.make(lab, folder / str(number), f"gone-{number:02}", region)
            die_and_destroy(cluster, boundary, whole.destroy[number % len(whole.destroy)])
        finally:
            regions.put(region)

    return {boundary: pool.submit(story, number, boundary) for number, boundary in enumerate(BOUNDARIES)}


def die_and_destroy(cluster: SmallCluster, up_boundary: str, destroy_boundary: str) -> None:
    """One throwaway cluster's story."""
    before = cluster.scan()
    ended = cluster.up(up_boundary)
    assert ended.code == KILLED, ended.stderr
    cluster.lose_local_files()
    ended = cluster.destroy(destroy_boundary)
    # Where nothing was claimed there is nothing to undo, and so no boundary to die at.
    assert ended.code == (0 if up_boundary == BEFORE_ANYTHING else KILLED), ended.stderr
    cluster.lose_local_files()
    ended = cluster.destroy()
    assert ended.code == 0, ended.stderr
    assert difference(before, cluster.scan()) == {}
    assert not (cluster.operator.folder / ".dockeree").exists()


def too_many(before: Scan, after: Scan) -> dict[str, int]:
    """Of what there is more than a whole cluster has. The lock of a dead process is one more parameter."""
    allowed = EXPECTED | {"parameter": EXPECTED["parameter"] + 1}
    return {kind: count for kind, count in counts(before, after).items() if count > allowed.get(kind, 0)}


def test_a_run_passes_every_boundary(whole: Whole) -> None:
    assert sorted(whole.up) == sorted(BOUNDARIES)
    undone = {step_key(step) for step in UP if "undo" in vars(step)}
    assert sorted(whole.destroy) == sorted(f"{edge}:{key}" for key in undone for edge in ("before", "after"))


@pytest.mark.usefixtures("throwaways")
def test_up_and_destroy_killed_at_one_boundary_after_the_other(lab: RunningLab, whole: Whole, tmp_path: Path) -> None:
    cluster = SmallCluster.make(lab, tmp_path / "cluster", "chain")
    before = cluster.scan()
    finish_up(cluster, before, whole, after_death=lambda: None)
    for boundary in whole.destroy:
        ended = cluster.destroy(boundary)
        assert ended.code == KILLED, f"destroy did not come to {boundary}: {ended.stderr}"
    ended = cluster.destroy()
    assert ended.code == 0, ended.stderr
    assert difference(before, cluster.scan()) == {}


@pytest.mark.usefixtures("throwaways")
def test_up_killed_at_one_boundary_after_the_other_losing_its_files_each_time(
    lab: RunningLab, whole: Whole, tmp_path: Path
) -> None:
    cluster = SmallCluster.make(lab, tmp_path / "cluster", "forgetful")
    before = cluster.scan()
    finish_up(cluster, before, whole, after_death=cluster.lose_local_files)
    assert cluster.destroy().code == 0
    assert difference(before, cluster.scan()) == {}


def finish_up(cluster: SmallCluster, before: Scan, whole: Whole, after_death: Callable[[], None]) -> None:
    """`up`, which dies at each boundary in turn and then does not; at no time is there too much."""
    for boundary in whole.up:
        ended = cluster.up(boundary)
        assert ended.code == KILLED, f"up did not come to {boundary}: {ended.stderr}"
        after_death()
        assert too_many(before, cluster.scan()) == {}, f"after the death at {boundary}"
    ended = cluster.up()
    assert ended.code == 0, ended.stderr
    assert counts(before, cluster.scan()) == EXPECTED


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_destroy_finds_everything_when_up_was_killed_and_its_files_are_lost(
    throwaways: dict[str, Future[None]], boundary: str
) -> None:
    throwaways[boundary].result()
