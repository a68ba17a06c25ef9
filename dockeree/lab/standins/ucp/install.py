"""`install`: the swarm gets UCP's root CA, this node the volumes, the swarm the service ucp-agent, which does the rest.

It ends when this node's controller answers. Other managers come later, each by its own agent.
"""

from __future__ import annotations

import getpass
import json
import secrets
import ssl
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dockeree.lab.standins.program.certificates import KeyPair, fingerprint, new_root
from dockeree.lab.standins.program.command_line import Values
from dockeree.lab.standins.program.docker_api import ApiError, DockerApi, remote
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp import checks, configuration, swarm
from dockeree.lab.standins.ucp.accounts import SHORTEST_PASSWORD, Account, Accounts, new_account
from dockeree.lab.standins.ucp.layout import (
    ACCOUNTS_PREFIX,
    AGENT_SERVICE,
    CLIENT_ROOT,
    CLIENT_ROOT_NAME,
    CLUSTER_ROOT,
    CLUSTER_ROOT_NAME,
    CONFIG_PREFIX,
    LICENSE_PREFIX,
    MANAGER_VOLUMES,
    RECONCILE_CONTAINER,
    SERVER_CERTS,
)
from dockeree.lab.standins.ucp.license import LicenseError, read_license
from dockeree.lab.standins.ucp.progress import Progress
from dockeree.lab.standins.ucp.services import agent_service, registry_headers
from dockeree.lab.standins.ucp.settings import Settings
from dockeree.lab.standins.ucp.swarm_store import SwarmStore
from dockeree.lab.standins.ucp.volume_files import VolumeFiles, mounted

LICENSE_FILE = Path("/config/docker_subscription.lic")
AGENT_TIMEOUT_SECONDS = 240.0
CONTROLLER_TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.5
FAILED_TASK_STATES = ("failed", "rejected", "orphaned")
PULLS = ("always", "missing", "never")


class Installation:
    """One run of `install`."""

    def __init__(self, engine: DockerApi, image: str, values: Values, log: Log) -> None:
        self._engine, self._image, self._values, self._log = engine, image, values, log
        self._release = Release(image)
        self._progress = Progress(log, self._release)
        self._settings = Settings(
            image=image,
            instance_id="".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(25)),
            controller_port=values.number("controller-port"),
            kube_port=values.number("kube-apiserver-port"),
            external_server_cert=values.switch("external-server-cert"),
        )

    def run(self) -> None:
        """Raises Fatal, and ApiError for what the engine refuses."""
        admin, license_config, host = self._validate()
        address = self._join_swarm(host)
        volumes = self._trust_roots()
        self._fill_volumes(volumes)
        self._store_configuration(admin, license_config)
        node_id = self._label_node(address)
        self._start_agents(node_id)
        self._await_controller(address)
        self._tell_success(address, node_id, admin.name)

    def _validate(self) -> tuple[Account, dict[str, str] | None, checks.Host]:
        self._progress.step("Validate the host", "Verifying your system is compatible with UCP")
        info = self._engine.call("GET", "/info")
        checks.check_swarm(info)
        checks.check_not_installed(self._engine, info)
        self._progress.say(
            f"Your engine version {info['ServerVersion']} ({info['KernelVersion']}) is compatible with "
            f"UCP {self._release.version}"
        )
        checks.check_minimums(info, self._values, self._release, self._log)
        admin, license_config = self._read_admin(), self._read_license()
        if self._values.text("pull") not in PULLS:
            raise Fatal(f'--pull is "{self._values.text("pull")}", not one of {", ".join(PULLS)}')
        host = checks.check_host(self._engine, info, self._values, self._image)
        self._progress.may_fail("validate")
        return admin, license_config, host

    def _read_admin(self) -> Account:
        name, password = self._values.text("admin-username"), self._values.text("admin-password")
        is_asking = self._values.switch("interactive") and sys.stdin.isatty()
        if not name:
            name = (input("Admin Username: ") if is_asking else "") or "admin"
        if not password and is_asking:
            password = getpass.getpass("Admin Password: ")
        if not password:
            password = secrets.token_urlsafe(18)
            self._log.info(f"Generated random admin password: {password}")
        if len(password) < SHORTEST_PASSWORD:
            raise Fatal(f"the admin password must be at least {SHORTEST_PASSWORD} characters")
        return new_account(name, password, is_admin=True)

    def _read_license(self) -> dict[str, str] | None:
        text = self._values.text("license") or (LICENSE_FILE.read_text() if LICENSE_FILE.exists() else "")
        if not text:
            return None
        try:
            return read_license(text)
        except LicenseError as error:
            raise Fatal(str(error)) from error

    def _join_swarm(self, host: checks.Host) -> str:
        """Begin a swarm where there is none. Returns the address UCP is installed with."""
        wanted = self._values.text("host-address")
        address = host.addresses.get(wanted, wanted) or host.info["Swarm"]["NodeAddr"] or _first_address(host.addresses)
        self._progress.step("Prepare the swarm")
        if not host.has_swarm:
            self._progress.say(f"Initializing a new swarm at {address}")
            port, path = self._values.number("swarm-grpc-port"), self._values.text("data-path-addr")
            swarm.begin(self._engine, address, port, path)
        self._log.info(
            f"Installing UCP with host address {address} - If this is incorrect, please specify an alternative "
            "address with the '--host-address' flag"
        )
        return address

    def _trust_roots(self) -> dict[str, KeyPair]:
        """Both authorities: kept ones with --preserve-certs, else new ones. The swarm has the cluster's afterwards."""
        roots: dict[str, KeyPair] = {}
        kept = self._read_kept() if self._values.switch("preserve-certs") else {}
        self._progress.step("Cluster Root CA", "Establishing mutual Cluster Root CA with Swarm")
        roots[CLUSTER_ROOT] = kept.get(CLUSTER_ROOT) or new_root(CLUSTER_ROOT_NAME)
        self._progress.may_fail("swarm-ca")
        swarm.trust(self._engine, roots[CLUSTER_ROOT])
        self._progress.step("Client Root CA", "Generating UCP Client Root CA")
        roots[CLIENT_ROOT] = kept.get(CLIENT_ROOT) or new_root(CLIENT_ROOT_NAME)
        return roots

    def _read_kept(self) -> dict[str, KeyPair]:
        with mounted(self._engine, self._image, (CLUSTER_ROOT, CLIENT_ROOT)) as files:
            pairs = {name: files.read_pair(name) for name in (CLUSTER_ROOT, CLIENT_ROOT)}
        return {name: pair for name, pair in pairs.items() if pair is not None}

    def _fill_volumes(self, roots: dict[str, KeyPair]) -> None:
        self._progress.step("Volumes")
        if not (self._settings.external_server_cert or self._values.switch("preserve-certs")):
            with self._engine.ignoring_absence():
                self._engine.call("DELETE", f"/volumes/{SERVER_CERTS}")
        with mounted(self._engine, self._image, MANAGER_VOLUMES) as files:
            if self._settings.external_server_cert:
                _check_external(files)
            for name, pair in roots.items():
                files.write(name, {"key.pem": pair.key_pem, "cert.pem": pair.certificate_pem})
                self._progress.may_fail("volumes")

    def _store_configuration(self, admin: Account, license_config: dict[str, str] | None) -> None:
        store = SwarmStore(self._engine)
        if self._values.switch("existing-config"):
            if store.read(CONFIG_PREFIX) is None:
                raise Fatal(f"--existing-config: there is no config {CONFIG_PREFIX} in this swarm")
        else:
            store.write(CONFIG_PREFIX, configuration.default_of(self._values).encode())
        if license_config:
            store.write(LICENSE_PREFIX, _license_document(license_config))
        store.remove(ACCOUNTS_PREFIX)
        Accounts(store).create(admin)

    def _label_node(self, address: str) -> str:
        info = self._engine.call("GET", "/info")
        names = [*self._values.texts("san"), *([address] if address != info["Swarm"]["NodeAddr"] else [])]
        if not any("." in name for name in [info["Name"], *names] if not name.replace(".", "").isdigit()):
            self._log.warning(
                f"None of the hostnames we'll be using in the UCP certificates {[info['Name'], *names]} "
                "contain a domain component"
            )
        node_id: str = info["Swarm"]["NodeID"]
        if names:
            swarm.add_sans(self._engine, node_id, names)
        return node_id

    def _start_agents(self, node_id: str) -> None:
        self._progress.step("Deploy the agents", "Deploying UCP Service")
        headers = registry_headers(self._values.text("registry-username"), self._values.text("registry-password"))
        self._engine.call("POST", "/services/create", agent_service(self._settings), headers=headers)
        self._progress.step("Reconcile this node")
        code = _await(self._reconciled(node_id), AGENT_TIMEOUT_SECONDS, f"{RECONCILE_CONTAINER} on this node to end")
        if code:
            raise Fatal(f"reconcile exited with non-zero status: {code}")

    def _reconciled(self, node_id: str) -> Callable[[], int | None]:
        def look() -> int | None:
            with self._engine.ignoring_absence():
                state = self._engine.call("GET", f"/containers/{RECONCILE_CONTAINER}/json")["State"]
                if state["Status"] == "exited":
                    code: int = state["ExitCode"]
                    return code
            filters = {"service": [AGENT_SERVICE], "node": [node_id]}
            for task in self._engine.call("GET", "/tasks", query={"filters": filters}):
                if task["Status"]["State"] in FAILED_TASK_STATES:
                    raise Fatal(f"The ucp-agent task is {task['Status']['State']}: {task['Status'].get('Err', '')}")
            return None

        return look

    def _await_controller(self, address: str) -> None:
        self._progress.step("Wait for the controller")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Whose certificate it is was decided by this program; what counts here is whether the controller answers.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        api = remote(address, self._settings.controller_port, context)
        answers: list[str] = []

        def look() -> int | None:
            try:
                api.call("GET", "/_ping", timeout_seconds=5.0)
                return 0
            except ApiError as error:
                answers.append(str(error))
            container = self._engine.call("GET", "/containers/ucp-controller/json")
            if container["RestartCount"] or container["State"]["Status"] == "exited":
                raise Fatal(f"Unhealthy UCP Controller: it exited with {container['State']['ExitCode']}")
            return None

        _await(look, CONTROLLER_TIMEOUT_SECONDS, "the controller to answer", answers)

    def _tell_success(self, address: str, node_id: str, admin_name: str) -> None:
        if self._release.is_at_least(3, 3):
            self._log.info("All Installation Steps Completed")
            return
        with mounted(self._engine, self._image, (SERVER_CERTS,)) as files:
            pair = files.read_pair(SERVER_CERTS)
        name = self._engine.call("GET", "/info")["Name"]
        self._log.info(f"Installation completed on {name} (node {node_id})")
        self._log.info(f"UCP Instance ID: {self._settings.instance_id}")
        if pair is not None:
            self._log.info(f"UCP Server SSL: SHA-256 Fingerprint={fingerprint(pair.certificate)}")
        self._log.info(f"Login to UCP at https://{address}:{self._settings.controller_port}")
        self._log.info(f"Username: {admin_name}")
        self._log.info("Password: (your admin password)")


def _await(look: Callable[[], int | None], timeout_seconds: float, what: str, answers: list[str] | None = None) -> int:
    deadline = time.monotonic() + timeout_seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            last = f": {answers[-1]}" if answers else ""
            raise Fatal(f"timed out waiting for {what}{last}")
        time.sleep(POLL_SECONDS)
    return found


def _check_external(files: VolumeFiles) -> None:
    there = files.read(SERVER_CERTS)
    missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if name not in there]
    if missing:
        raise Fatal(f"--external-server-cert: the volume {SERVER_CERTS} lacks {', '.join(missing)}")
    try:
        fits = KeyPair(there["cert.pem"], there["key.pem"]).fits
    except (ValueError, TypeError) as error:
        raise Fatal(f"--external-server-cert: {error}") from error
    if not fits:
        raise Fatal(f"--external-server-cert: the key in {SERVER_CERTS} is not its certificate's")


def _first_address(addresses: dict[str, str]) -> str:
    found = [address for name, address in sorted(addresses.items()) if not name.startswith(("lo", "docker", "br-"))]
    if not found:
        raise Fatal("this host has no address: hand one over with --host-address")
    return found[0]


def _license_document(license_config: dict[str, str]) -> bytes:
    return json.dumps({"auto_refresh": True, "license_config": license_config}).encode()
