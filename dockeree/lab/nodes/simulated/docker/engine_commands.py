"""`docker version`, `info`, `ps`, `pull`, and what else an engine answers without a swarm."""

from __future__ import annotations

import re
from typing import Any

from dockeree.lab.nodes.simulated import catalogue
from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.docker.documents import (
    CLIENT_INFO,
    info_document,
    running_tasks,
    timestamp,
    version_document,
)
from dockeree.lab.nodes.simulated.docker.go_template import compact_json
from dockeree.lab.nodes.simulated.docker.info_text import info_text
from dockeree.lab.nodes.simulated.docker.output import formatted, inspected, listing
from dockeree.lab.nodes.simulated.docker.registry import NOT_RUNNING, Invocation, command
from dockeree.lab.nodes.simulated.docker.service_commands import check_image
from dockeree.lab.nodes.simulated.docker.task_rows import task_name
from dockeree.lab.nodes.simulated.engine import VERSION, Image
from dockeree.lab.nodes.simulated.pace import go_duration, utc_now
from dockeree.lab.nodes.simulated.swarm.errors import SwarmError
from dockeree.lab.nodes.simulated.swarm.identity import new_id
from dockeree.lab.nodes.simulated.swarm.model import Network


@command("--version", needs_engine=False)
def _client_version(_invocation: Invocation) -> Answer:
    return said(f"Docker version {VERSION}, build {VERSION}-0ubuntu1~24.04.1\n")


@command("version", "format/f:text", needs_engine=False)
def _version(invocation: Invocation) -> Answer:
    document = version_document(invocation.machine)
    template = invocation.options.text("format")
    is_up = document["Server"] is not None
    if template:
        text = formatted("{{json .}}" if template == "json" else template, document) + "\n"
    else:
        parts = [("Client", document["Client"])] + ([("Server", document["Server"])] if is_up else [])
        text = "\n".join(
            f"{name}:\n Version:           {part['Version']}\n API version:       {part['ApiVersion']}\n"
            for name, part in parts
        )
    return Answer(0 if is_up else 1, text.encode(), b"" if is_up else NOT_RUNNING.encode())


@command("info", "format/f:text", needs_engine=False)
def _info(invocation: Invocation) -> Answer:
    machine, template = invocation.machine, invocation.options.text("format")
    if not machine.engine.runs:
        document: dict[str, Any] = {"ServerErrors": [NOT_RUNNING.strip()], "ClientInfo": CLIENT_INFO}
    else:
        document = {**info_document(machine), "ClientInfo": CLIENT_INFO}
    if not template:
        return info_text(document)
    stderr = "" if machine.engine.runs else f"ERROR: {NOT_RUNNING}"
    if template in ("json", "{{json .}}"):
        text = compact_json(document)
    else:
        text = formatted(template, document if machine.engine.runs else {**_empty_info(), **document})
    return Answer(0, f"{text}\n".encode(), stderr.encode())


def _empty_info() -> dict[str, Any]:
    """Go prints zero values for what a client could not ask."""
    return {"Swarm": {"LocalNodeState": "", "NodeID": "", "ControlAvailable": False}, "ServerVersion": "", "Name": ""}


@command("ps", "all/a filter/f:list format:text last/n:number latest/l no-trunc quiet/q size/s")
def _ps(invocation: Invocation) -> Answer:
    machine, options = invocation.machine, invocation.options
    swarm = invocation.membership.swarm if invocation.membership else None
    rows = [
        {
            "ID": _container_id(task.id)[: None if options.is_set("no-trunc") else 12],
            "Image": task.image,
            "Command": '"/docker-entrypoint.…"',
            "CreatedAt": timestamp(task.created_at),
            "RunningFor": f"{go_duration(utc_now() - task.created_at)} ago",
            "Status": f"Up {go_duration(utc_now() - task.state_at)}",
            "State": "running",
            "Ports": ", ".join(
                f"0.0.0.0:{port.published}->{port.target}/{port.protocol}"
                for port in service.ports
                if port.mode == "host"
            ),
            "Names": f"{task_name(swarm, task)}.{task.id}" if swarm else task.id,
        }
        for service, task in running_tasks(machine)
    ]
    rows = [row for row in rows if _passes(row, options.items("filter"))]
    columns = {
        "CONTAINER ID": "ID",
        "IMAGE": "Image",
        "COMMAND": "Command",
        "CREATED": "RunningFor",
        "STATUS": "Status",
        "PORTS": "Ports",
        "NAMES": "Names",
    }
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet")))


def _container_id(task_id: str) -> str:
    return catalogue.image_id(task_id).removeprefix("sha256:")


def _passes(row: dict[str, Any], filters: list[str]) -> bool:
    for item in filters:
        key, _, value = item.partition("=")
        tests = {
            "name": re.search(value, row["Names"]) is not None,
            "status": value == row["State"],
            "ancestor": row["Image"].startswith(value),
            "id": row["ID"].startswith(value),
        }
        if key not in tests:
            raise SwarmError(f"invalid filter '{key}'")
        if not tests[key]:
            return False
    return True


def _pull(invocation: Invocation) -> Answer:
    reference = invocation.options.arguments[0]
    check_image(reference)
    name, tag = catalogue.parse(reference) or ("", "")
    image = Image(name, tag, catalogue.image_id(f"{name}:{tag}"))
    known = invocation.machine.engine.images.setdefault(f"{name}:{tag}", image) is not image
    whole = f"docker.io/{name if '/' in name else f'library/{name}'}:{tag}"
    if invocation.options.is_set("quiet"):
        return said(f"{whole}\n")
    status = "Image is up to date" if known else "Downloaded newer image"
    return said(
        f"{tag}: Pulling from {whole.removeprefix('docker.io/').rpartition(':')[0]}\nDigest: {image.id}\n"
        f"Status: {status} for {name}:{tag}\n{whole}\n"
    )


PULL_FLAGS = "all-tags/a disable-content-trust platform:text quiet/q"
command("pull", PULL_FLAGS, usage="[OPTIONS] NAME[:TAG|@DIGEST]", arguments=(1, 1))(_pull)
command("image pull", PULL_FLAGS, usage="[OPTIONS] NAME[:TAG|@DIGEST]", arguments=(1, 1))(_pull)


@command("image inspect", "format/f:text", usage="[OPTIONS] IMAGE [IMAGE...]", arguments=(1, None))
def _image_inspect(invocation: Invocation) -> Answer:
    documents, stderr = [], ""
    for reference in invocation.options.arguments:
        parsed = catalogue.parse(reference)
        image = invocation.machine.engine.images.get(":".join(parsed)) if parsed else None
        if image is None:
            stderr += f"Error response from daemon: No such image: {reference}\n"
            continue
        documents.append(
            {
                "Id": image.id,
                "RepoTags": [f"{image.name}:{image.tag}"],
                "RepoDigests": [f"{image.name}@{image.id}"],
                "Created": timestamp(image.pulled_at),
                "Architecture": "amd64",
                "Os": "linux",
                "Size": 10**8,
            }
        )
    text = inspected(documents, invocation.options.text("format"))
    return Answer(1 if stderr else 0, text.encode(), stderr.encode())


def _images(invocation: Invocation) -> Answer:
    options = invocation.options
    rows = [
        {
            "Repository": image.name,
            "Tag": image.tag,
            "ID": image.id.removeprefix("sha256:")[:12],
            "CreatedSince": f"{go_duration(utc_now() - image.pulled_at)} ago",
            "CreatedAt": timestamp(image.pulled_at),
            "Digest": image.id,
            "Size": "100MB",
        }
        for image in invocation.machine.engine.images.values()
    ]
    columns = {"REPOSITORY": "Repository", "TAG": "Tag", "IMAGE ID": "ID", "CREATED": "CreatedSince", "SIZE": "Size"}
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet")))


command("images", "all/a format:text no-trunc quiet/q")(_images)
command("image ls", "all/a format:text no-trunc quiet/q")(_images)


@command("network ls", "filter/f:list format:text no-trunc quiet/q")
def _network_ls(invocation: Invocation) -> Answer:
    options, engine = invocation.options, invocation.machine.engine
    drivers = {"none": "null"}
    rows = [
        _network_row(identity, name, drivers.get(name, name), "local")
        for name, identity in engine.local_networks.items()
    ]
    membership = invocation.membership
    if membership is not None and membership.swarm is not None:
        rows.append(_network_row(membership.member_id, "docker_gwbridge", "bridge", "local"))
        rows += [_network_row(net.id, net.name, "overlay", "swarm") for net in membership.swarm.networks.values()]
    for item in options.items("filter"):
        key, _, value = item.partition("=")
        fields = {"name": "Name", "driver": "Driver", "scope": "Scope", "id": "ID"}
        if key not in fields:
            raise SwarmError(f"invalid filter '{key}'")
        rows = [row for row in rows if (value in row[fields[key]] if key == "name" else row[fields[key]] == value)]
    columns = {"NETWORK ID": "ID", "NAME": "Name", "DRIVER": "Driver", "SCOPE": "Scope"}
    rows.sort(key=lambda row: row["Name"])
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet")))


def _network_row(identity: str, name: str, driver: str, scope: str) -> dict[str, str]:
    return {"ID": identity[:12], "Name": name, "Driver": driver, "Scope": scope, "Internal": "false", "IPv6": "false"}


@command(
    "network create",
    "attachable driver/d:text gateway:list ingress internal ip-range:list ipv6 label:list opt/o:list scope:text "
    "subnet:list",
    usage="[OPTIONS] NETWORK",
    arguments=(1, 1),
)
def _network_create(invocation: Invocation) -> Answer:
    options, name = invocation.options, invocation.options.arguments[0]
    if options.text("driver", "bridge") != "overlay":
        engine = invocation.machine.engine
        if name in engine.local_networks:
            raise SwarmError(f"network with name {name} already exists")
        engine.local_networks[name] = new_id()
        return said(f"{engine.local_networks[name]}\n")
    swarm = invocation.managed_swarm()
    if any(network.name == name for network in swarm.networks.values()):
        raise SwarmError(f"network with name {name} already exists")
    subnet = (options.items("subnet") or [""])[0]
    network = Network(new_id(), name, subnet, options.is_set("attachable"), options.is_set("ingress"))
    swarm.networks[network.id] = network
    return said(f"{network.id}\n")


@command("volume ls", "filter/f:list format:text quiet/q")
def _volume_ls(invocation: Invocation) -> Answer:
    options = invocation.options
    rows = [{"Driver": "local", "Name": name, "Scope": "local"} for name in invocation.machine.engine.volumes]
    columns = {"DRIVER": "Driver", "VOLUME NAME": "Name"}
    return said(listing(rows, columns, template=options.text("format"), quiet=options.is_set("quiet"), key="Name"))


@command("system df", "format:text verbose/v")
def _system_df(invocation: Invocation) -> Answer:
    engine = invocation.machine.engine
    counts = {
        "Images": len(engine.images),
        "Containers": len(running_tasks(invocation.machine)),
        "Local Volumes": len(engine.volumes),
        "Build Cache": 0,
    }
    rows = [
        {"Type": kind, "TotalCount": str(count), "Active": str(count), "Size": f"{count * 100}MB", "Reclaimable": "0B"}
        for kind, count in counts.items()
    ]
    columns = {
        "TYPE": "Type",
        "TOTAL": "TotalCount",
        "ACTIVE": "Active",
        "SIZE": "Size",
        "RECLAIMABLE": "Reclaimable",
    }
    return said(listing(rows, columns, template=invocation.options.text("format"), quiet=False))
