"""`docker info` without a format: the lines that people grep."""

from __future__ import annotations

from typing import Any

from dockeree.lab.nodes.simulated.answer import Answer


def info_text(document: dict[str, Any]) -> Answer:
    """The document as text; exit 1 when the engine did not answer."""
    client = document["ClientInfo"]
    lines = [
        "Client:",
        f" Version:    {client['Version']}",
        f" Context:    {client['Context']}",
        " Debug Mode: false",
        "",
    ]
    if document.get("ServerErrors"):
        errors = [f"ERROR: {error}" for error in document["ServerErrors"]]
        stderr = "\n".join([*errors, "errors pretty printing info", ""])
        return Answer(1, "\n".join([*lines, "Server:", ""]).encode(), stderr.encode())
    swarm = document["Swarm"]
    lines += [
        "Server:",
        f" Containers: {document['Containers']}",
        f"  Running: {document['ContainersRunning']}",
        f" Images: {document['Images']}",
        f" Server Version: {document['ServerVersion']}",
        f" Storage Driver: {document['Driver']}",
        f" Logging Driver: {document['LoggingDriver']}",
        f" Swarm: {swarm['LocalNodeState']}",
    ]
    if swarm["LocalNodeState"] == "active":
        lines += [f"  NodeID: {swarm['NodeID']}"]
        lines += [f"  Error: {swarm['Error']}"] if swarm["Error"] else []
        lines += [f"  Is Manager: {str(swarm['ControlAvailable']).lower()}"]
        if "Cluster" in swarm:
            lines += [
                f"  ClusterID: {swarm['Cluster']['ID']}",
                f"  Managers: {swarm['Managers']}",
                f"  Nodes: {swarm['Nodes']}",
            ]
        lines += [f"  Node Address: {swarm['NodeAddr']}", "  Manager Addresses:"]
        lines += [f"   {manager['Addr']}" for manager in swarm["RemoteManagers"]]
    lines += [
        f" Operating System: {document['OperatingSystem']}",
        f" Kernel Version: {document['KernelVersion']}",
        f" CPUs: {document['NCPU']}",
        f" Name: {document['Name']}",
        f" ID: {document['ID']}",
        f" Docker Root Dir: {document['DockerRootDir']}",
        " Live Restore Enabled: false",
    ]
    return Answer(0, ("\n".join(lines) + "\n").encode())
