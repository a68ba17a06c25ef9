"""The objects of the engine's API as JSON documents: info, nodes, services, tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dockeree.lab.nodes.simulated.engine import API_VERSION, VERSION, Membership
from dockeree.lab.nodes.simulated.machine import Machine
from dockeree.lab.nodes.simulated.pace import utc_now
from dockeree.lab.nodes.simulated.swarm.errors import NO_LEADER, SwarmError
from dockeree.lab.nodes.simulated.swarm.model import MANAGEMENT_PORT, Member, Service, SwarmState, Task
from dockeree.lab.nodes.simulated.swarm.raft import is_reachable, require_leader

CLIENT_INFO = {
    "Debug": False,
    "Platform": {"Name": ""},
    "Version": VERSION,
    "Context": "default",
    "Plugins": [],
    "Warnings": None,
}


def timestamp(moment: datetime) -> str:
    """RFC 3339 with nanoseconds, as Go prints it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def version_document(machine: Machine) -> dict[str, Any]:
    """What `docker version` knows; `Server` is None while the engine does not answer."""
    common = {
        "Version": VERSION,
        "ApiVersion": API_VERSION,
        "GitCommit": "28.2.2-0ubuntu1",
        "GoVersion": "go1.23.1",
        "Os": "linux",
        "Arch": "amd64",
    }
    server = {
        "Platform": {"Name": ""},
        "Version": VERSION,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": "1.24",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "6.8.0-1029-aws",
        "Components": [{"Name": "Engine", "Version": VERSION, "Details": common}],
    }
    client = {**common, "DefaultAPIVersion": API_VERSION, "Context": "default"}
    return {"Client": client, "Server": server if machine.engine.runs else None}


def info_document(machine: Machine) -> dict[str, Any]:
    """What the engine's `/info` answers."""
    engine = machine.engine
    running = len(running_tasks(machine))
    return {
        "ID": engine.id,
        "Containers": running,
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": len(engine.images),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"]},
        "SystemTime": timestamp(utc_now()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "systemd",
        "CgroupVersion": "2",
        "KernelVersion": "6.8.0-1029-aws",
        "OperatingSystem": "Ubuntu 24.04.2 LTS",
        "OSVersion": "24.04",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": 2,
        "MemTotal": 8 * 1024**3,
        "DockerRootDir": "/var/lib/docker",
        "Name": machine.hostname,
        "Labels": [],
        "ServerVersion": VERSION,
        "Swarm": swarm_document(machine),
        "LiveRestoreEnabled": False,
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
        "Warnings": None,
    }


def swarm_document(machine: Machine) -> dict[str, Any]:
    """The `Swarm` of `/info`: the node's own word. Workers are told neither the swarm's id nor its size."""
    membership = machine.engine.membership
    document: dict[str, Any] = {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    }
    if membership is None:
        return document
    if membership.swarm is None:
        return {**document, "LocalNodeState": "pending"}
    member = membership.member
    document |= {
        "NodeID": membership.member_id,
        "NodeAddr": member.address if member else machine.spec.private_ip,
        "LocalNodeState": "active",
        "RemoteManagers": [
            {"NodeID": manager.id, "Addr": f"{manager.address}:{MANAGEMENT_PORT}"}
            for manager in membership.swarm.managers
        ],
    }
    return document | _manager_part(membership)


def _manager_part(membership: Membership) -> dict[str, Any]:
    member, swarm = membership.member, membership.swarm
    if member is None or swarm is None or not member.is_manager:
        return {}
    try:
        require_leader(swarm, member)
    except SwarmError:
        return {"ControlAvailable": True, "Error": NO_LEADER}
    return {
        "ControlAvailable": True,
        "Nodes": len(swarm.members),
        "Managers": len(swarm.managers),
        "Cluster": cluster_document(swarm),
    }


def cluster_document(swarm: SwarmState) -> dict[str, Any]:
    """The swarm itself."""
    return {
        "ID": swarm.id,
        "Version": {"Index": swarm.version},
        "CreatedAt": timestamp(swarm.created_at),
        "UpdatedAt": timestamp(swarm.updated_at),
        "Spec": {
            "Name": "default",
            "Labels": {},
            "Orchestration": {"TaskHistoryRetentionLimit": swarm.task_history_limit},
            "Raft": {"SnapshotInterval": 10000, "KeepOldSnapshots": 0, "ElectionTick": 10, "HeartbeatTick": 1},
            "Dispatcher": {"HeartbeatPeriod": swarm.heartbeat_seconds * 10**9},
            "CAConfig": {"NodeCertExpiry": swarm.certificate_hours * 3600 * 10**9},
            "EncryptionConfig": {"AutoLockManagers": swarm.autolock},
        },
        "TLSInfo": {"TrustRoot": swarm.ca.pem},
        "RootRotationInProgress": False,
        "DefaultAddrPool": list(swarm.address_pools),
        "SubnetSize": swarm.subnet_size,
        "DataPathPort": swarm.data_path_port,
    }


def node_document(swarm: SwarmState, member: Member) -> dict[str, Any]:
    """What `docker node inspect` prints."""
    document: dict[str, Any] = {
        "ID": member.id,
        "Version": {"Index": member.version},
        "CreatedAt": timestamp(member.created_at),
        "UpdatedAt": timestamp(member.updated_at),
        "Spec": {"Labels": dict(member.labels), "Role": member.role, "Availability": member.availability},
        "Description": {
            "Hostname": member.hostname,
            "Platform": {"Architecture": "x86_64", "OS": "linux"},
            "Resources": {"NanoCPUs": 2 * 10**9, "MemoryBytes": 8 * 1024**3},
            "Engine": {"EngineVersion": member.engine_version, "Plugins": [{"Type": "Network", "Name": "overlay"}]},
            "TLSInfo": {"TrustRoot": swarm.ca.pem},
        },
        "Status": {"State": member.status, "Addr": member.address},
    }
    if member.status == "down":
        document["Status"]["Message"] = "heartbeat failure"
    if member.is_manager:
        reachable = is_reachable(swarm, member)
        document["ManagerStatus"] = {
            **({"Leader": True} if swarm.leader_id == member.id else {}),
            "Reachability": "reachable" if reachable else "unreachable",
            "Addr": f"{member.address}:{MANAGEMENT_PORT}",
        }
    return document


def service_document(service: Service) -> dict[str, Any]:
    """What `docker service inspect` prints."""
    ports = [
        {
            "Protocol": port.protocol,
            "TargetPort": port.target,
            "PublishedPort": port.published,
            "PublishMode": port.mode,
        }
        for port in service.ports
    ]
    mode: dict[str, Any] = {"Global": {}} if service.is_global else {"Replicated": {"Replicas": service.replicas}}
    return {
        "ID": service.id,
        "Version": {"Index": service.version},
        "CreatedAt": timestamp(service.created_at),
        "UpdatedAt": timestamp(service.updated_at),
        "Spec": {
            "Name": service.name,
            "Labels": dict(service.labels),
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": service.image,
                    "Args": list(service.arguments),
                    "Env": list(service.environment),
                },
                "Placement": {"Constraints": list(service.constraints)},
                "Networks": [{"Target": network} for network in service.networks],
                "ForceUpdate": 0,
            },
            "Mode": mode,
            "EndpointSpec": {"Mode": "vip", "Ports": ports},
        },
        "Endpoint": {"Spec": {"Mode": "vip", "Ports": ports}, "Ports": ports},
    }


def running_tasks(machine: Machine) -> list[tuple[Service, Task]]:
    """The containers that run on a machine, with their services."""
    membership = machine.engine.membership
    if membership is None or membership.swarm is None or not machine.site.engine_runs(machine.id):
        return []
    swarm = membership.swarm
    return [
        (swarm.services[task.service_id], task)
        for task in swarm.tasks.values()
        if task.member_id == membership.member_id and task.is_running and task.service_id in swarm.services
    ]
