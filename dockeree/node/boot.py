"""The user data of every node: cloud-init's configuration that brings the boot script, and to workers the agent.

It holds no secret (every process of a node, and everybody who may describe instances, can read it) and no address of
AWS. It is gzip'd, as EC2 takes 16 KiB at most, and the same bytes for the same configuration: a launch template gets a
new version only when something changed.
"""

from __future__ import annotations

import gzip
import json
import shlex
from importlib import resources
from typing import Literal

import yaml

from dockeree import config
from dockeree.errors import DockereeError
from dockeree.node.engine_source import engine_source

USER_DATA_BYTES = 16 * 1024
"""EC2's limit, before base64."""
FOLDER = "/opt/dockeree"
ENGINE_UNIT = "dockeree-engine.service"
AGENT_UNIT = "dockeree-agent.service"

DAEMON_SETTINGS = {
    # Without these, json-file grows until the disk is full.
    "log-driver": "json-file",
    "log-opts": {"max-size": "20m", "max-file": "3"},
    # The engine's own pools reach into 192.168.0.0/16, which are UCP's pods, and beyond 172.18.0.0/16 into what may be
    # a VPC. With these, all of a node's bridges stay inside the two networks that the preflight keeps free.
    "bip": config.DOCKER_BRIDGE_CIDR.replace(".0.0/", ".0.1/"),
    "default-address-pools": [{"base": config.GWBRIDGE_CIDR, "size": 22}],
}

_ENGINE_UNIT_TEXT = f"""\
[Unit]
Description=Docker Engine, installed and configured by dockeree
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={FOLDER}/boot.sh
Environment=HOME=/root
Restart=on-failure
RestartSec=60
TimeoutStartSec=30min
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""

_AGENT_UNIT_TEXT = f"""\
[Unit]
Description=Joins this worker to its swarm
Wants=network-online.target {ENGINE_UNIT}
After=network-online.target {ENGINE_UNIT}
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
@TRUST@ExecStart=/usr/bin/python3 {FOLDER}/agent.py
Environment=HOME=/root
Restart=on-failure
RestartSec=15
RestartPreventExitStatus=3
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""

_TRUST_LINE = f"ExecStartPre=-/usr/bin/python3 {FOLDER}/trust.py\n"
"""Whether the registry is trusted must not keep a worker from joining: hence the dash."""


def user_data(
    *,
    role: Literal["manager", "worker"],
    cluster_name: str,
    cluster_id: str,
    region: str,
    engine: config.Engine,
    join_parameter: str,
    trust_parameter: str = "",
) -> bytes:
    """The user data of a node: a gzip'd `#cloud-config`, to be given to EC2 as it is (launch templates: in base64).

    `join_parameter` is the name of the SSM parameter that workers join by, `trust_parameter` of the one that says what
    the cluster's registry is trusted by; empty without a registry.

    Raises DockereeError when it is more than EC2 takes.
    """
    document = cloud_config(
        role=role,
        cluster_name=cluster_name,
        cluster_id=cluster_id,
        region=region,
        engine=engine,
        join_parameter=join_parameter,
        trust_parameter=trust_parameter,
    )
    data = gzip.compress(document.encode(), 9, mtime=0)
    if len(data) > USER_DATA_BYTES:
        raise DockereeError(f"the user data of a {role} is {len(data)} bytes; EC2 takes {USER_DATA_BYTES}")
    return data


def cloud_config(
    *,
    role: Literal["manager", "worker"],
    cluster_name: str,
    cluster_id: str,
    region: str,
    engine: config.Engine,
    join_parameter: str,
    trust_parameter: str = "",
) -> str:
    """What `user_data` packs, as cloud-init reads it."""
    files = _engine_files(role, engine)
    commands: list[list[str]] = [["systemctl", "daemon-reload"]]
    if role == "worker":
        settings = {
            "cluster": cluster_name,
            "cluster_id": cluster_id,
            "region": region,
            "join_parameter": join_parameter,
            **({"trust_parameter": trust_parameter} if trust_parameter else {}),
        }
        unit = _AGENT_UNIT_TEXT.replace("@TRUST@", _TRUST_LINE if trust_parameter else "")
        files += [
            _file(f"{FOLDER}/agent.json", json.dumps(settings, indent=2) + "\n", "0644"),
            _file(f"{FOLDER}/agent.py", _resource("dockeree.agent", "join.py"), "0755"),
            _file(f"/etc/systemd/system/{AGENT_UNIT}", unit, "0644"),
        ]
        if trust_parameter:
            files.append(_file(f"{FOLDER}/trust.py", _resource("dockeree.agent", "trust.py"), "0755"))
        commands.append(["systemctl", "enable", "--now", "--no-block", AGENT_UNIT])
    # Last, as the exit status of the last command is what cloud-init makes its own result of.
    commands.append(["systemctl", "enable", "--now", ENGINE_UNIT])
    document = {"write_files": files, "runcmd": commands}
    return "#cloud-config\n" + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


def _engine_files(role: str, engine: config.Engine) -> list[dict[str, str]]:
    source = engine_source(engine)
    settings = {
        "ROLE": role,
        "ENGINE_SOURCE": engine.source,
        "ENGINE_PACKAGES": " ".join(source.packages),
        "ENGINE_KEY_URL": source.key_url,
        "ENGINE_KEY_FILE": source.key_file,
        "ENGINE_SOURCES_FILE": source.sources_file,
    }
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    files = [
        _file(f"{FOLDER}/boot.conf", lines, "0644"),
        _file(f"{FOLDER}/boot.sh", _resource("dockeree.node", "boot.sh"), "0755"),
        _file(f"{FOLDER}/daemon.json", json.dumps(DAEMON_SETTINGS, indent=2) + "\n", "0644"),
        _file(f"/etc/systemd/system/{ENGINE_UNIT}", _ENGINE_UNIT_TEXT, "0644"),
    ]
    if source.sources:
        files.append(_file(f"{FOLDER}/engine.sources", source.sources, "0644"))
    return files


def _file(path: str, content: str, permissions: str) -> dict[str, str]:
    return {"path": path, "permissions": permissions, "owner": "root:root", "content": content}


def _resource(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a person can read the user data of a node."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
