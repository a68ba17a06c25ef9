"""Killed (`kill -9`) at every boundary between two steps, `up` and `destroy` run again go on as if nothing had been.

- A chain over one cluster: `up` is killed at each boundary in turn, as they come in a whole run; a last `up` finishes,
  and everything is there once. `destroy` is then killed in the same way. One chain keeps its local files, one loses
  them at every death.
- A cluster for every boundary: `up` dies there, all local files are lost, `destroy` dies at a boundary of its own, the
  files are lost again, and the last `destroy` leaves nothing.

A death takes with it whatever steps were under way beside it, so most of them come in the middle of something.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.account_scan import Scan, difference, scan
from support.quick_command import KILLED, Ended, QuickCommand
from support.running_lab import Operator

from dockeree.lab.control import RunningLab
from dockeree.steps.runner import step_key
from dockeree.workflows.up import UP

BOUNDARIES = [f"{edge}:{step_key(step)}" for step in UP for edge in ("before", "after")]
BEFORE_ANYTHING = BOUNDARIES[0]
REGIONS = ("us-east-2", "us-west-2", "eu-west-1")
"""Each throwaway cluster has one of these to itself, so that what is left in it is the cluster's."""
GLOBAL_KINDS = ("role", "instance profile", "policy", "bucket", "hosted zone")
EXPECTED = {
    "instance": 5,
    "volume": 5,
    "interface": 14,
    "vpc": 1,
    "subnet": 3,
    "route table": 2,
    "gateway": 1,
    "security group": 6,
    "key pair": 1,
    "launch template": 1,
    "balancer": 3,
    "target group": 5,
    "group": 1,
    "role": 2,
    "instance profile": 2,
    "hosted zone": 1,
    "parameter": 3,
}
"""Three managers, two workers and what belongs to them; the claim, the key and the way in for workers as parameters."""


@dataclass(frozen=True)
class Place:
    """A cluster of a name of its own, in a folder and a region of its own."""

    name: str
    region: str
    operator: Operator

    @classmethod
    def make(cls, lab: RunningLab, folder: Path, name: str, region: str = "us-east-1") -> Place:
        """Configure a cluster that is as small as one can be."""
        folder.mkdir()
        operator = Operator(lab, folder)
        operator.configure(
            name=name,
            region=region,
            managers={"instance_type": "t3.large"},
            workers={"instance_type": "t3.large", "count": 2, "min": 1},
        )
        return cls(name, region, operator)

    def up(self, boundary: str = "", passed: Path | None = None) -> Ended:
        """Run `up`; it dies at `boundary`."""
        return QuickCommand(("up",), self.operator.folder, self.operator.environment, boundary, passed).run()

    def destroy(self, boundary: str = "", passed: Path | None = None) -> Ended:
        """Run `destroy`; it dies at `boundary`."""
        arguments = ("destroy", "--confirm", self.name)
        return QuickCommand(arguments, self.operator.folder, self.operator.environment, boundary, passed).run()

    def lose_local_files(self) -> None:
        """As if the operator's machine were a new one."""
        shutil.rmtree(self.operator.folder / ".dockeree", ignore_errors=True)

    def scan(self) -> Scan:
        """The region, and what no region holds as far as it has this cluster's name."""
        found = scan(self.region, **self.operator.credentials())
        zones = self.operator.client("route53").list_hosted_zones()["HostedZones"]
        found["hosted zone"] = {zone["Name"] for zone in zones}
        for kind in GLOBAL_KINDS:
            found[kind] = {name for name in found[kind] if self.name in name}
        found["parameter"] = {name for name in found["parameter"] if self.name in name}
        return found


@dataclass(frozen=True)
class Whole:
    """What runs without a death passed on their way up and down, in the order in which it came."""

    up: list[str]
    destroy: list[str]


@pytest.fixture(scope="module")
def whole(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """One cluster up and down, which shows the order of the boundaries and what a cluster consists of."""
    folder = tmp_path_factory.mktemp("whole")
    place = Place.make(lab, folder / "cluster", "whole")
    before = place.scan()
    ended = place.up(passed=folder / "up")
    assert ended.code == 0, ended.stderr
    assert counts(before, place.scan()) == EXPECTED
    ended = place.destroy(passed=folder / "destroy")
    assert ended.code == 0, ended.stderr
    assert difference(before, place.scan()) == {}
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
            place = Place.make(lab, folder / str(number), f"gone-{number}", region)
            die_and_destroy(place, boundary, whole.destroy[number % len(whole.destroy)])
        finally:
            regions.put(region)

    return {boundary: pool.submit(story, number, boundary) for number, boundary in enumerate(BOUNDARIES)}


def die_and_destroy(place: Place, up_boundary: str, destroy_boundary: str) -> None:
    """One throwaway cluster's story."""
    before = place.scan()
    ended = place.up(up_boundary)
    assert ended.code == KILLED, ended.stderr
    place.lose_local_files()
    ended = place.destroy(destroy_boundary)
    # Where nothing was claimed there is nothing to undo, and so no boundary to die at.
    assert ended.code == (0 if up_boundary == BEFORE_ANYTHING else KILLED), ended.stderr
    place.lose_local_files()
    ended = place.destroy()
    assert ended.code == 0, ended.stderr
    assert difference(before, place.scan()) == {}
    assert not (place.operator.folder / ".dockeree").exists()


def counts(before: Scan, after: Scan) -> dict[str, int]:
    """How many of each kind have come."""
    return {kind: len(ids - before[kind]) for kind, ids in after.items() if ids - before[kind]}


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
    place = Place.make(lab, tmp_path / "cluster", "chain")
    before = place.scan()
    finish_up(place, before, whole, after_death=lambda: None)
    for boundary in whole.destroy:
        ended = place.destroy(boundary)
        assert ended.code == KILLED, f"destroy did not come to {boundary}: {ended.stderr}"
    ended = place.destroy()
    assert ended.code == 0, ended.stderr
    assert difference(before, place.scan()) == {}


@pytest.mark.usefixtures("throwaways")
def test_up_killed_at_one_boundary_after_the_other_losing_its_files_each_time(
    lab: RunningLab, whole: Whole, tmp_path: Path
) -> None:
    place = Place.make(lab, tmp_path / "cluster", "forgetful")
    before = place.scan()
    finish_up(place, before, whole, after_death=place.lose_local_files)
    assert place.destroy().code == 0
    assert difference(before, place.scan()) == {}


def finish_up(place: Place, before: Scan, whole: Whole, after_death: Callable[[], None]) -> None:
    """`up`, which dies at each boundary in turn and then does not; at no time is there too much."""
    for boundary in whole.up:
        ended = place.up(boundary)
        assert ended.code == KILLED, f"up did not come to {boundary}: {ended.stderr}"
        after_death()
        assert too_many(before, place.scan()) == {}, f"after the death at {boundary}"
    ended = place.up()
    assert ended.code == 0, ended.stderr
    assert counts(before, place.scan()) == EXPECTED


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_destroy_finds_everything_when_up_was_killed_and_its_files_are_lost(
    throwaways: dict[str, Future[None]], boundary: str
) -> None:
    throwaways[boundary].result()
