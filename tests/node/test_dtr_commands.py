"""DTR's command lines against the tables of its documentation, and how what it says is read."""

from __future__ import annotations

import json
import shlex

import pytest

from dockeree.node import dtr
from dockeree.node.dtr import Ports, Ucp

UCP_SET = "ucp-url ucp-username ucp-password ucp-ca ucp-insecure-tls debug help-extended"
TABLES = {
    "install": UCP_SET
    + """
        ucp-node dtr-external-url dtr-ca dtr-cert dtr-key replica-http-port replica-https-port replica-id
        replica-rethinkdb-cache-mb dtr-storage-volume nfs-storage-url nfs-options async-nfs overlay-subnet
        client-cert-auth-ca enable-client-cert-auth enable-pprof http-proxy https-proxy no-proxy log-host log-level
        log-protocol""",
    "join": UCP_SET
    + """
        ucp-node existing-replica-id replica-id replica-http-port replica-https-port replica-rethinkdb-cache-mb
        skip-network-test unsafe-join""",
    "remove": UCP_SET + " existing-replica-id replica-ids",
    "destroy": UCP_SET + " replica-id",
    "images": "",
}
"""Flags of DTR 2.7's commands as its reference lists them; 2.9 has these and more."""
IMAGE = "mirantis/dtr:2.9.29"
AUTHORITIES = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
UCP = Ucp("https://ucp.example.com", AUTHORITIES)
PORTS = Ports(https=4443, http=4080)


def commands() -> dict[str, str]:
    return {
        "install": dtr.install_command(
            IMAGE, UCP, node="n1", external_url="https://dtr.example.com", replica_id="0123abcd000a", ports=PORTS
        ),
        "join": dtr.join_command(
            IMAGE, UCP, node="n2", existing_id="0123abcd000a", replica_id="0123abcd000b", ports=PORTS
        ),
        "remove": dtr.remove_command(IMAGE, UCP, existing_id="0123abcd000a", replica_id="0123abcd000b"),
        "destroy": dtr.destroy_command(IMAGE, UCP, replica_id="0123abcd000b"),
        "images": dtr.images_command(IMAGE),
    }


def taken_apart(command: str) -> tuple[list[str], str, dict[str, str]]:
    words = shlex.split(command)
    words = shlex.split(words[4].rpartition(" && exec ")[2]) if words[2] == "sh" else words[2:]
    place = words.index(IMAGE)
    name, *rest = words[place + 1 :]
    assert len(rest) % 2 == 0
    return words[4:place], name, dict(zip(rest[::2], rest[1::2], strict=True))


@pytest.mark.parametrize("name", TABLES)
def test_every_flag_is_in_its_table_and_the_password_is_none_of_them(name: str) -> None:
    options, command, flags = taken_apart(commands()[name])
    assert command == name
    assert {flag.removeprefix("--") for flag in flags} <= set(TABLES[name].split())
    assert "--ucp-password" not in flags
    assert "--ucp-insecure-tls" not in flags
    assert not any("docker.sock" in word for word in options), "the installer talks to UCP alone"
    if name != "images":
        assert options[options.index("-e") + 1] == "UCP_PASSWORD"
        assert flags["--ucp-ca"] == AUTHORITIES


def test_replicas_stand_beside_ucp_and_know_their_name() -> None:
    _, _, flags = taken_apart(commands()["install"])
    assert flags["--replica-https-port"] == "4443"
    assert flags["--replica-http-port"] == "4080"
    assert flags["--dtr-external-url"] == "https://dtr.example.com"
    assert flags["--ucp-node"] == "n1"
    assert "--dtr-external-url" not in taken_apart(commands()["join"])[2]


def test_replica_ids_are_the_same_at_every_run() -> None:
    ids = [dtr.replica_id("0123abcd", letter) for letter in "abc"]
    assert ids == ["0123abcd000a", "0123abcd000b", "0123abcd000c"]
    for cluster, letter in (("", "a"), ("0123abcd", "z"), ("0123ABCD", "a")):
        with pytest.raises(ValueError, match="12 hexadecimal digits"):
            dtr.replica_id(cluster, letter)


def test_replicas_are_told_from_the_installers_helpers() -> None:
    rows = [
        {"Names": "dtr-registry-0123abcd000a", "State": "running"},
        {"Names": "dtr-notary-server-0123abcd000a", "State": "restarting"},
        {"Names": "dtr-registry-0123abcd000b", "State": "running"},
        {"Names": "dtr-phase2", "State": "running"},
    ]
    stdout = "".join(json.dumps(row) + "\n" for row in rows)
    found = dtr.parse_replicas(stdout)
    assert set(found) == {"0123abcd000a", "0123abcd000b"}
    assert found["0123abcd000a"].states == {"registry": "running", "notary-server": "restarting"}
    assert not found["0123abcd000a"].is_running
    assert found["0123abcd000b"].is_running
    assert dtr.parse_helpers(stdout) == ("dtr-phase2",)


def test_storage_by_the_role_holds_no_key_and_by_a_user_holds_both() -> None:
    role = dtr.s3_storage("us-east-1", "images")
    assert role["s3"] == {
        "rootdirectory": "",
        "region": "us-east-1",
        "regionendpoint": "",
        "bucket": "images",
        "secure": True,
    }
    user = dtr.s3_storage("us-east-1", "images", ("AKIA", "hidden"))
    assert (user["s3"]["accesskey"], user["s3"]["secretkey"]) == ("AKIA", "hidden")
    request = dtr.put_storage("10.0.0.1:4443", "secret", role)
    assert (request.method, request.url) == ("PUT", "https://10.0.0.1:4443/api/v0/admin/settings/registry/simple")
    assert json.loads(request.body or "") == {"storage": role}
    assert dtr.parse_storage(json.dumps({"storage": role})) == role["s3"]
    assert dtr.parse_storage(json.dumps({"storage": {"filesystem": {}}})) == {}


def test_health() -> None:
    assert dtr.is_healthy('{"Error":"","Healthy":true}')
    for body in ('{"Error":"rethinkdb","Healthy":false}', "", "<html>", "[]"):
        assert not dtr.is_healthy(body)
    assert dtr.parse_health('{"replica_health": {"a": "OK", "b": "Not OK"}}') == {"a": "OK", "b": "Not OK"}


def test_trust_is_written_whole_below_the_registry_s_name() -> None:
    command = dtr.trust_command("dtr.example.com")
    assert "/etc/docker/certs.d/dtr.example.com/ca.crt.new" in command
    assert command.endswith(
        "mv /etc/docker/certs.d/dtr.example.com/ca.crt.new /etc/docker/certs.d/dtr.example.com/ca.crt'"
    )
