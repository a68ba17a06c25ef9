"""A model of docker's client and engine. `run` is the client; importing the command modules registers them."""

from dockeree.lab.nodes.simulated.docker import engine_commands, node_commands, service_commands, swarm_commands
from dockeree.lab.nodes.simulated.docker.registry import run

__all__ = ["engine_commands", "node_commands", "run", "service_commands", "swarm_commands"]
