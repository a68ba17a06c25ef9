"""What an installation refuses before it changes anything, and the certificate a controller is due."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from support.fake_docker_api import FakeDockerApi

from dockeree.lab.standins.program.certificates import KeyPair, alternative_names, common_name, issue, new_root
from dockeree.lab.standins.program.command_line import Values, parse
from dockeree.lab.standins.program.log import Fatal, Log
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp import checks
from dockeree.lab.standins.ucp.command_table import commands_of
from dockeree.lab.standins.ucp.layout import required_ports
from dockeree.lab.standins.ucp.license import LicenseError, read_license
from dockeree.lab.standins.ucp.reconcile import ensure_server_certificate, read_pair
from dockeree.lab.standins.ucp.settings import Settings, ThisNode

OLD, MKE = Release("docker/ucp:3.2.6"), Release("mirantis/ucp:3.8.12")
GIGABYTE = 1000**3


def values(*words: str, release: Release = MKE) -> Values:
    return parse(commands_of(release)["install"], words, {})


@pytest.mark.parametrize(
    ("release", "memory", "cpus", "problems"),
    [
        (MKE, 8 * GIGABYTE, 2, 0),
        (MKE, 8 * GIGABYTE - 1, 2, 1),
        (MKE, 4 * GIGABYTE, 1, 2),
        (OLD, 4 * GIGABYTE, 2, 0),
        (OLD, 4 * GIGABYTE - 1, 2, 1),
    ],
)
def test_minimums(release: Release, memory: int, cpus: int, problems: int) -> None:
    assert len(checks.shortfalls(memory, cpus, release)) == problems


def test_minimums_can_be_forced() -> None:
    info = {"MemTotal": GIGABYTE, "NCPU": 1}
    with pytest.raises(Fatal, match="minimum requirements"):
        checks.check_minimums(info, values(), MKE, Log(io.StringIO()))
    output = io.StringIO()
    checks.check_minimums(info, values("--force-minimums"), MKE, Log(output))
    assert output.getvalue().count("level=warning") == 2


def test_the_ports_of_the_documentation() -> None:
    old = {179, 443, 6443, 2376, 6444, 9099, 10250, 12376, 12378, *range(12379, 12389)}
    assert set(required_ports(OLD, 443, 6443, 2376)) == old
    assert set(required_ports(MKE, 443, 6443, 2376)) == old | {12390}
    assert 443 not in required_ports(MKE, 8443, 6443, 2376)


def test_busy_ports_are_told_in_the_documented_words() -> None:
    message = checks.busy_ports_message([443, 12376], 2376)
    assert message.startswith("The following required ports are already in use on your host - 443, 12376.")
    assert message.endswith("You may specify an alternative port number to 2376 with the --swarm-port argument.")


@pytest.mark.parametrize(
    ("swarm", "message"),
    [
        ({"LocalNodeState": "locked", "ControlAvailable": False}, "locked"),
        ({"LocalNodeState": "active", "ControlAvailable": False}, "worker"),
    ],
)
def test_a_node_that_is_no_manager_is_refused(swarm: dict[str, Any], message: str) -> None:
    with pytest.raises(Fatal, match=message):
        checks.check_swarm({"Swarm": swarm})


@pytest.mark.parametrize(
    ("containers", "services", "found"),
    [
        (["/ucp-proxy"], [], "ucp-proxy"),
        ([], ["ucp-agent"], "ucp-agent"),
        (["/ucp-reconcile"], ["ucp-agent"], "ucp-agent, ucp-reconcile"),
        (["/web"], ["ucp-agent-of-mine"], ""),
    ],
)
def test_an_existing_installation_is_refused_whole_or_half(
    containers: list[str], services: list[str], found: str
) -> None:
    engine = FakeDockerApi(
        {
            "GET /containers/json": [{"Names": [name]} for name in containers],
            "GET /services": [{"Spec": {"Name": name}} for name in services],
        }
    )
    info = {"Swarm": {"ControlAvailable": True}}
    if not found:
        checks.check_not_installed(engine, info)
        return
    with pytest.raises(Fatal, match=rf"already installed on this cluster \({found}\)"):
        checks.check_not_installed(engine, info)


def test_releases_before_3_3_insist_on_the_name() -> None:
    class Named(FakeDockerApi):
        def call(self, *_args: Any, **_more: Any) -> Any:
            return {"Name": "/eager_turing"}

    with pytest.raises(Fatal, match="--name ucp"):
        checks.check_name(Named(), OLD)
    checks.check_name(Named(), MKE)


def test_a_license_without_its_fields() -> None:
    with pytest.raises(LicenseError, match="lacks private_key, authorization"):
        read_license('{"key_id": "x"}')
    with pytest.raises(LicenseError, match="not JSON"):
        read_license("x")


SETTINGS = Settings("mirantis/ucp:3.8.12", "instance")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in ("ucp-client-root-ca", "ucp-controller-server-certs"):
        (tmp_path / name).mkdir()
    write(tmp_path / "ucp-client-root-ca", new_root("UCP Client Root CA"))
    return tmp_path


def write(folder: Path, pair: KeyPair) -> None:
    (folder / "cert.pem").write_bytes(pair.certificate_pem)
    (folder / "key.pem").write_bytes(pair.key_pem)


def node(*sans: str) -> ThisNode:
    return ThisNode("id", "ip-10-32-0-5", "10.32.0.5", True, "/var/lib/docker", sans)


def ensure(volumes: Path, this: ThisNode, settings: Settings = SETTINGS) -> KeyPair:
    ensure_server_certificate(volumes, settings, this, Log(io.StringIO()))
    return read_pair(volumes / "ucp-controller-server-certs")


def test_a_controller_is_certified_for_its_own_names_the_labelled_ones_and_nothing_else(volumes: Path) -> None:
    pair = ensure(volumes, node("ucp.example.com"))
    names = {"10.32.0.5", "127.0.0.1", "ip-10-32-0-5", "ucp.example.com"}
    assert alternative_names(pair.certificate) == names
    assert common_name(pair.certificate.issuer) == "UCP Client Root CA"
    assert pair.fits
    authority = (volumes / "ucp-client-root-ca/cert.pem").read_bytes()
    assert (volumes / "ucp-controller-server-certs/ca.pem").read_bytes() == authority


def test_it_is_kept_while_it_is_right_and_made_anew_when_the_label_changes(volumes: Path) -> None:
    first = ensure(volumes, node("ucp.example.com"))
    assert ensure(volumes, node("ucp.example.com")) == first
    second = ensure(volumes, node("ucp.example.com", "other.example.com"))
    assert "other.example.com" in alternative_names(second.certificate)
    write(volumes / "ucp-client-root-ca", new_root("UCP Client Root CA"))
    assert ensure(volumes, node("ucp.example.com", "other.example.com")) != second


def test_the_operators_own_certificate_counts_only_when_it_was_announced(volumes: Path) -> None:
    own = issue(new_root("Example CA"), "ucp.example.com", server_names=["ucp.example.com"])
    write(volumes / "ucp-controller-server-certs", own)
    external = Settings("mirantis/ucp:3.8.12", "instance", external_server_cert=True)
    assert ensure(volumes, node(), external) == own
    assert ensure(volumes, node()) != own


def test_an_own_certificate_with_another_key_is_refused(volumes: Path) -> None:
    root = new_root("Example CA")
    one, other = (issue(root, "ucp", server_names=["ucp.example.com"]) for _ in range(2))
    write(volumes / "ucp-controller-server-certs", KeyPair(one.certificate_pem, other.key_pem))
    with pytest.raises(Fatal, match="is not its certificate's"):
        ensure(volumes, node(), Settings("mirantis/ucp:3.8.12", "instance", external_server_cert=True))
