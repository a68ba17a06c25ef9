"""What the managers' own words on their membership add up to: one swarm, none, or something that nobody may touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockeree.errors import DockereeError
from dockeree.node.engine import EngineInfo


class NoManagerWorks(DockereeError):
    """Managers hold memberships and none of them works. While a leader is elected, that is so for some seconds."""


@dataclass(frozen=True)
class Membership:
    """Who is in the swarm: managers' names, in the order given. `cluster_id` is empty when there is no swarm yet."""

    cluster_id: str
    active: tuple[str, ...]
    outside: tuple[str, ...]
    """Not in a swarm at all."""
    half: tuple[str, ...]
    """In a swarm as a worker, or with a membership that does not work (pending, error)."""


def judge(infos: Mapping[str, EngineInfo]) -> Membership:
    """Read the managers' answers, by manager's name.

    Raises DockereeError where going on would make things worse: two swarms; and NoManagerWorks, as a swarm that is
    locked or has lost its quorum is restored, never started anew beside its ruins.
    """
    active = {name: info.swarm for name, info in infos.items() if info.swarm.is_manager and _works(info)}
    outside = tuple(name for name, info in infos.items() if not info.swarm.is_member)
    half = tuple(name for name in infos if name not in active and name not in outside)
    cluster_ids = {swarm.cluster_id for swarm in active.values()}
    if len(cluster_ids) > 1:
        raise DockereeError(
            "the managers are in different swarms: "
            + ", ".join(f"{name} in {swarm.cluster_id}" for name, swarm in active.items()),
            "Keep the one that your services run in; on the managers of the other one: docker swarm leave --force. "
            "Then run `dockeree up` again.",
        )
    if half and not active:
        raise NoManagerWorks(
            "no manager works: " + ", ".join(f"{name} says {_words(infos[name])}" for name in (*half, *outside)),
            "A swarm that lost its quorum comes back when most of its managers do. If they never will: on one of them, "
            "docker swarm init --force-new-cluster --advertise-addr ITS-PRIVATE-ADDRESS.\n"
            "A locked swarm is opened by: docker swarm unlock",
        )
    return Membership(next(iter(cluster_ids), ""), tuple(active), outside, half)


def _works(info: EngineInfo) -> bool:
    return info.swarm.state == "active" and not info.swarm.error


def _words(info: EngineInfo) -> str:
    words = f"{info.swarm.state} as a worker" if info.swarm.state == "active" else info.swarm.state
    return f"{words} ({info.swarm.error})" if info.swarm.error else words
