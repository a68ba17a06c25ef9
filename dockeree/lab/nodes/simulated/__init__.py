"""Simulated nodes: EC2 instances as real SSH servers on loopback over a model of docker and swarm.

    driver.py       power: launch, stop, reboot, power cut; the doors (ssh_server.py, black_hole.py)
    boot.py         from power on to cloud-init's end (cloud_init.py, systemd.py, programs.py)
    shell/          what is typed on a node; docker/ its client and engine; swarm/ the managers' store
    wiring.py       the snapshot: who reaches whom (reachability.py), whether targets are healthy (health.py)
    machine.py      all of it as plain state: Machine (filesystem.py, engine.py) and Site
    faults.py       what goes wrong on request

A command, flag or piece of user data that the model does not know fails, and is one line in the lab's log.
"""

from dockeree.lab.nodes.simulated.driver import SimulatedDriver
from dockeree.lab.nodes.simulated.wiring import SimulatedWiring

__all__ = ["SimulatedDriver", "SimulatedWiring"]
