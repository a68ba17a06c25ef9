"""What UCP's installer is told, what is asked of UCP's API, and how the answers are read.

The command lines are those of UCP's documentation: https://docs.mirantis.com/mke/3.8/cli-ref/mke-cli-install.html
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dockeree.node.engine import DOCKER
from dockeree.node.http import Request
from dockeree.node.installer import docker_run

ADMIN = "admin"
PORT = 443
SHORTEST_PASSWORD = 8
"""UCP takes no shorter one."""
SANS_LABEL = "com.docker.ucp.SANs"
"""On a manager's node: the names that its controller's certificate gets beside its address."""
INSTALLING_LABEL = "dockeree.ucp-installing"
"""On the manager whose installation has begun and was not seen to end well: what is there may be cleared away."""
BOOTSTRAPPER = "ucp"
"""The installer's container must be called so."""
AGENT_SERVICE = "ucp-agent"
CONTROLLER = "ucp-controller"
PROXY = "ucp-proxy"
SERVER_CERTIFICATES = "ucp-controller-server-certs"
"""The volume that `--external-server-cert` reads ca.pem, cert.pem and key.pem from."""
LICENSE_IN_CONTAINER = "/config/docker_subscription.lic"
LICENSE_ON_NODE = "/opt/dockeree/docker_subscription.lic"

_SOCKET = ("-v", "/var/run/docker.sock:/var/run/docker.sock")
_RUN = ("--name", BOOTSTRAPPER, *_SOCKET)
_LOGS_SINCE = (3, 8)
"""From this release on `uninstall-ucp` wants the host's /var/log."""

COMPONENTS = f"{DOCKER} ps --all --filter 'name=^ucp' --format '{{{{json .}}}}'"
AGENT = f"{DOCKER} service ls --filter name={AGENT_SERVICE} --format '{{{{.Name}}}}'"
FOLLOW_BOOTSTRAPPER = f"{DOCKER} logs --follow {BOOTSTRAPPER}"
REMOVE_BOOTSTRAPPER = f"{DOCKER} container rm --force {BOOTSTRAPPER}"
WRITE_LICENSE = f"sudo -n sh -c 'umask 077 && mkdir -p /opt/dockeree && cat > {LICENSE_ON_NODE}'"
REMOVE_LICENSE = f"sudo -n rm -f {LICENSE_ON_NODE}"
WRITE_CERTIFICATES = (
    f"sudo -n sh -c 'docker volume create {SERVER_CERTIFICATES} >/dev/null && "
    f'tar --extract --file=- --no-same-owner --directory="$(docker volume inspect --format "{{{{.Mountpoint}}}}" '
    f"{SERVER_CERTIFICATES})\"'"
)
"""A tar stream on standard input becomes the volume's files."""


@dataclass(frozen=True)
class Components:
    """UCP's containers on one node: name -> docker's state (running, exited, …). `images`: name -> image."""

    states: Mapping[str, str]
    images: Mapping[str, str]

    @property
    def bootstrapper(self) -> str:
        """The state of the installer's own container; empty when there is none."""
        return self.states.get(BOOTSTRAPPER, "")

    @property
    def names(self) -> tuple[str, ...]:
        """UCP's own containers, the installer's left out."""
        return tuple(name for name in self.states if name != BOOTSTRAPPER)

    @property
    def version(self) -> str:
        """The installed version: the tag of ucp-proxy's image; empty without one."""
        image = self.images.get(PROXY, "")
        return image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""


def images_command(image: str) -> str:
    """Print the images that this release is made of."""
    return docker_run(image, ("images", "--list"), _RUN)


def install_command(
    image: str,
    *,
    host_address: str,
    sans: Sequence[str],
    pod_cidr: str,
    service_cidr: str,
    has_license: bool = False,
    has_certificate: bool = False,
) -> str:
    """Install UCP on the swarm that this manager is in; the administrator's password on standard input."""
    options = [*_RUN]
    if has_license:
        options += ["-v", f"{LICENSE_ON_NODE}:{LICENSE_IN_CONTAINER}:ro"]
    arguments = ["install", "--admin-username", ADMIN, "--host-address", host_address]
    for san in sans:
        arguments += ["--san", san]
    arguments += ["--pod-cidr", pod_cidr, "--service-cluster-ip-range", service_cidr]
    if has_certificate:
        arguments.append("--external-server-cert")
    return docker_run(image, arguments, options, environment="UCP_ADMIN_PASSWORD")


def uninstall_command(image: str, swarm_id: str, release: Sequence[int]) -> str:
    """Take UCP off every node of the swarm, whole or not. `release` is the installer's own version."""
    logs = ("-v", "/var/log:/var/log") if tuple(release) >= _LOGS_SINCE else ()
    return docker_run(image, ("uninstall-ucp", "--id", swarm_id, "--purge-config"), (*_RUN, *logs))


def label_command(node_id: str, label: str, value: str) -> str:
    """Set a node's label."""
    return f"{DOCKER} node update --label-add {shlex.quote(f'{label}={value}')} {shlex.quote(node_id)}"


def unlabel_command(node_id: str, label: str) -> str:
    """Take a node's label away."""
    return f"{DOCKER} node update --label-rm {shlex.quote(label)} {shlex.quote(node_id)}"


def parse_components(stdout: str) -> Components:
    """Read COMPONENTS."""
    found = [json.loads(line) for line in stdout.splitlines() if line.strip()]
    ours = [item for item in found if re.fullmatch(r"ucp(-[a-z0-9-]+)?", item["Names"])]
    return Components({item["Names"]: item["State"] for item in ours}, {item["Names"]: item["Image"] for item in ours})


def parse_labels(stdout: str) -> dict[str, dict[str, str]]:
    """Node id -> labels, of `node_inspect_command`."""
    documents = [json.loads(line) for line in stdout.splitlines() if line.strip()]
    return {document["ID"]: dict((document.get("Spec") or {}).get("Labels") or {}) for document in documents}


def is_changing_root(info: str) -> bool:
    """Whether the swarm is still giving its nodes certificates of a new root (`docker info`)."""
    swarm: dict[str, Any] = json.loads(info).get("Swarm") or {}
    return bool((swarm.get("Cluster") or {}).get("RootRotationInProgress"))


def url(address: str, path: str) -> str:
    """A path of the controller at `address`."""
    return f"https://{address}{path}"


def login(address: str, password: str) -> Request:
    """Ask for a token; 401 when the password is wrong."""
    body = json.dumps({"username": ADMIN, "password": password})
    return Request(url(address, "/auth/login"), "POST", body)


def parse_login(body: str) -> str:
    """The bearer token. Raises ValueError."""
    token = json.loads(body).get("auth_token")
    if not token:
        raise ValueError("the answer holds no auth_token")
    return str(token)


def put_config(address: str, token: str, toml: str) -> Request:
    """Replace UCP's configuration."""
    return Request(url(address, "/api/ucp/config-toml"), "PUT", toml, "application/toml", token)


def allows_admin_scheduling(toml: str) -> bool:
    """Whether administrators may start containers on managers. Raises ValueError for what is no TOML."""
    section = tomllib.loads(toml).get("scheduling_configuration") or {}
    return section.get("enable_admin_ucp_scheduling") is True


def with_admin_scheduling(toml: str) -> str:
    """UCP's configuration with that switched on, and every other line as it was.

    Raises ValueError where the result would not say so.
    """
    switch = "enable_admin_ucp_scheduling = true"
    lines = toml.splitlines()
    header = next((i for i, line in enumerate(lines) if line.strip() == "[scheduling_configuration]"), None)
    if header is None:
        lines += ["", "[scheduling_configuration]", f"  {switch}"]
    else:
        end = next((i for i in range(header + 1, len(lines)) if lines[i].lstrip().startswith("[")), len(lines))
        section = [line for line in lines[header + 1 : end] if line.split("=")[0].strip() != switch.split()[0]]
        lines[header + 1 : end] = [f"  {switch}", *section]
    edited = "\n".join(lines) + "\n"
    if not allows_admin_scheduling(edited):
        raise ValueError("UCP's configuration cannot be edited: [scheduling_configuration] is not where it should be")
    return edited


def put_license(address: str, token: str, license_text: str) -> Request:
    """Give UCP its subscription. Raises ValueError when `license_text` is none."""
    body = json.dumps({"auto_refresh": True, "license_config": json.loads(license_text)})
    return Request(url(address, "/api/config/license"), "POST", body, token=token)


def parse_license(body: str) -> dict[str, Any]:
    """`key_id`, and where UCP tells them `tier` and `expiration`; empty without a licence. Raises ValueError."""
    document = json.loads(body) if body.strip() else {}
    config = document.get("license_config") or {}
    details = document.get("license_details") or {}
    return {**details, "key_id": config["key_id"]} if config.get("key_id") else {}


def license_key(license_text: str) -> str:
    """The `key_id` of a docker_subscription.lic. Raises ValueError when it is none."""
    try:
        document = json.loads(license_text)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or not document.get("key_id"):
        raise ValueError("it holds no key_id")
    return str(document["key_id"])


def parse_nodes(body: str) -> dict[str, str]:
    """Hostname -> what keeps a node from being well as UCP sees it (`GET /nodes`), empty for one that is well."""
    words = {}
    for node in json.loads(body):
        status = node.get("Status") or {}
        hostname = (node.get("Description") or {}).get("Hostname", node.get("ID", ""))
        message = status.get("Message", "")
        healthy = status.get("State") == "ready" and not _is_problem(message)
        words[hostname] = "" if healthy else (message or status.get("State", "unknown"))
    return words


def _is_problem(message: str) -> bool:
    """UCP folds its components' states into a ready node's message."""
    return bool(message) and not message.startswith("Healthy")


def join_sans(names: Iterable[str]) -> str:
    """The value of SANS_LABEL."""
    return ",".join(names)
