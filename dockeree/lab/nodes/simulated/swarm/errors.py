"""Refusals of a swarm, in the words of docker's daemon."""

from __future__ import annotations


class SwarmError(Exception):
    """What the client prints after `Error response from daemon: `."""


def rpc(code: str, description: str) -> SwarmError:
    """An error that came over gRPC from a manager."""
    return SwarmError(f"rpc error: code = {code} desc = {description}")


def not_found(kind: str, reference: str) -> SwarmError:
    """`node x not found`, `service x not found`."""
    return SwarmError(f"{kind} {reference} not found")


NO_LEADER = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are "
    "online. Make sure more than half of the managers are online."
)
ALREADY = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
NOT_IN_SWARM = "This node is not part of a swarm"
NOT_A_MANAGER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this "
    "command on a manager node or promote the current node to a manager."
)
NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
JOIN_TIMEOUT = (
    "Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "
    '"docker info" command to see the current swarm status of your node.'
)
