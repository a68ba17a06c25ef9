"""UCP's command lines against the tables of its documentation, and how what it says is read."""

from __future__ import annotations

import json
import shlex

import pytest

from dockeree.compatibility import parse_image
from dockeree.node import ucp

INSTALL_3_2 = """
debug jsonlog interactive admin-username admin-password azure-ip-count binpack random cloud-provider cni-installer-url
controller-port data-path-addr disable-tracking disable-usage dns dns-opt dns-search enable-profiling existing-config
external-server-cert external-service-lb force-insecure-tcp force-minimums host-address iscsiadm-path iscsidb-path
kube-apiserver-port kv-snapshot-count kv-timeout license nodeport-range pod-cidr preserve-certs pull registry-username
registry-password san service-cluster-ip-range skip-cloud-provider-check storage-expt-enabled storage-iscsi
swarm-experimental swarm-grpc-port swarm-port unlock-key unmanaged-cni
"""
TABLES = {
    "install": INSTALL_3_2,
    "uninstall-ucp": "debug jsonlog interactive id pull purge-config registry-username registry-password",
    "images": "debug jsonlog list pull registry-username registry-password",
}
"""Flags of UCP 3.2's commands as its reference lists them; later releases have these and more."""
SWITCHES = {"external-server-cert", "list", "purge-config"}
SOCKET = "/var/run/docker.sock:/var/run/docker.sock"


def taken_apart(command: str, image: str) -> tuple[list[str], str, dict[str, list[str]]]:
    """docker's options, the installer's command, and its flags with their values."""
    words = shlex.split(command)
    if words[:3] == ["sudo", "-n", "sh"]:
        script = words[4]
        words = shlex.split(script.rpartition(" && exec ")[2])
    else:
        words = words[2:]
    assert words[:4] == ["docker", "container", "run", "--rm"]
    place = words.index(image)
    options, (name, *rest) = words[4:place], words[place + 1 :]
    flags: dict[str, list[str]] = {}
    while rest:
        flag = rest.pop(0)
        assert flag.startswith("--"), f"a word where no word belongs: {flag}"
        values = flags.setdefault(flag[2:], [])
        if flag[2:] not in SWITCHES:
            values.append(rest.pop(0))
    return options, name, flags


def install(image: str = "mirantis/ucp:3.8.12", **settings: bool) -> str:
    return ucp.install_command(
        image,
        host_address="10.32.0.5",
        sans=("ucp.example.com", "ucp.demo.dockeree.internal"),
        pod_cidr="192.168.0.0/16",
        service_cidr="10.96.0.0/16",
        **settings,
    )


@pytest.mark.parametrize("image", ["mirantis/ucp:3.2.8", "mirantis/ucp:3.8.12", "mirantis/ucp:3.9.6"])
@pytest.mark.parametrize("everything", [False, True])
def test_every_flag_of_every_command_is_in_its_table(image: str, everything: bool) -> None:
    commands = [
        install(image, has_license=everything, has_certificate=everything),
        ucp.uninstall_command(image, "swarm-id", parse_image(image).version or ()),
        ucp.images_command(image),
    ]
    for command in commands:
        options, name, flags = taken_apart(command, image)
        assert set(flags) <= set(TABLES[name].split())
        assert options[:2] == ["--name", "ucp"]
        assert SOCKET in options
        assert not {"-t", "-it", "--tty"} & set(options)


def test_the_installation_is_told_what_it_must_know_and_the_password_stands_nowhere() -> None:
    command = install(has_license=True, has_certificate=True)
    options, name, flags = taken_apart(command, "mirantis/ucp:3.8.12")
    assert name == "install"
    assert flags == {
        "admin-username": ["admin"],
        "host-address": ["10.32.0.5"],
        "san": ["ucp.example.com", "ucp.demo.dockeree.internal"],
        "pod-cidr": ["192.168.0.0/16"],
        "service-cluster-ip-range": ["10.96.0.0/16"],
        "external-server-cert": [],
    }
    assert options[options.index("-e") + 1] == "UCP_ADMIN_PASSWORD"
    assert "/opt/dockeree/docker_subscription.lic:/config/docker_subscription.lic:ro" in options
    assert "admin-password" not in command
    assert "-v" in options
    assert not any("license" in word for word in taken_apart(install(), "mirantis/ucp:3.8.12")[0])


def test_uninstalling_mke_3_8_sees_the_host_s_logs_and_older_ones_do_not() -> None:
    new = ucp.uninstall_command("mirantis/ucp:3.8.12", "abc", (3, 8, 12))
    old = ucp.uninstall_command("mirantis/ucp:3.7.25", "abc", (3, 7, 25))
    assert "/var/log:/var/log" in new
    assert "/var/log" not in old
    assert taken_apart(new, "mirantis/ucp:3.8.12")[2] == {"id": ["abc"], "purge-config": []}


def test_components_are_told_from_the_installer_and_from_others() -> None:
    rows = [
        {"Names": "ucp", "State": "running", "Image": "mirantis/ucp:3.8.12"},
        {"Names": "ucp-proxy", "State": "running", "Image": "mirantis/ucp-agent:3.8.12"},
        {"Names": "ucp-reconcile", "State": "exited", "Image": "mirantis/ucp-agent:3.8.12"},
        {"Names": "ucp-agent.abc.def", "State": "running", "Image": "mirantis/ucp-agent:3.8.12"},
    ]
    found = ucp.parse_components("".join(json.dumps(row) + "\n" for row in rows))
    assert found.bootstrapper == "running"
    assert found.names == ("ucp-proxy", "ucp-reconcile")
    assert found.version == "3.8.12"
    assert ucp.parse_components("\n").names == ()


CONFIG = """\
[auth]
  backend = "managed"
  default_new_user_role = "restrictedcontrol"  # keep

[scheduling_configuration]
  enable_admin_ucp_scheduling = false
  default_node_orchestrator = "swarm"

[cluster_config]
  controller_port = 443
"""


def test_one_line_of_the_configuration_changes_and_no_other() -> None:
    edited = ucp.with_admin_scheduling(CONFIG)
    assert not ucp.allows_admin_scheduling(CONFIG)
    assert ucp.allows_admin_scheduling(edited)
    before, after = CONFIG.splitlines(), edited.splitlines()
    assert [line for line in before if line not in after] == ["  enable_admin_ucp_scheduling = false"]
    assert [line for line in after if line not in before] == ["  enable_admin_ucp_scheduling = true"]
    assert ucp.with_admin_scheduling(edited) == edited


@pytest.mark.parametrize(
    "toml",
    [
        "",
        "[auth]\n",
        "[scheduling_configuration]\n",
        "[scheduling_configuration]\n[z]\nenable_admin_ucp_scheduling=1\n",
    ],
)
def test_a_configuration_without_the_switch_gets_it_in_its_section(toml: str) -> None:
    assert ucp.allows_admin_scheduling(ucp.with_admin_scheduling(toml))


def test_a_configuration_that_cannot_be_edited_is_said() -> None:
    with pytest.raises(ValueError, match="twice"):
        ucp.with_admin_scheduling('scheduling_configuration.x = 1\n["scheduling_configuration"]\n')


def test_a_licence_is_known_by_its_key() -> None:
    assert ucp.license_key('{"key_id": "k1", "private_key": "p", "authorization": "a"}') == "k1"
    for text in ("", "{}", "[]", "MIIC"):
        with pytest.raises(ValueError, match="it"):
            ucp.license_key(text)
    answer = {"auto_refresh": True, "license_config": {"key_id": "k1"}, "license_details": {"tier": "Production"}}
    assert ucp.parse_license(json.dumps(answer)) == {"key_id": "k1", "tier": "Production"}
    assert ucp.parse_license("{}") == {}
    assert json.loads(ucp.put_license("a", "t", '{"key_id": "k1"}').body or "") == {
        "auto_refresh": True,
        "license_config": {"key_id": "k1"},
    }


def test_nodes_that_are_ready_may_still_not_be_well() -> None:
    def node(name: str, state: str, message: str = "") -> dict[str, object]:
        return {"Description": {"Hostname": name}, "Status": {"State": state, "Message": message}}

    nodes = [
        node("a", "ready", "Healthy UCP manager"),
        node("b", "ready", "[Pending] Completing node registration"),
        node("c", "down", "heartbeat failure"),
        node("d", "unknown"),
    ]
    assert ucp.parse_nodes(json.dumps(nodes)) == {
        "a": "",
        "b": "[Pending] Completing node registration",
        "c": "heartbeat failure",
        "d": "unknown",
    }


def test_a_root_that_changes_is_seen() -> None:
    assert ucp.is_changing_root('{"Swarm": {"Cluster": {"RootRotationInProgress": true}}}')
    assert not ucp.is_changing_root('{"Swarm": {"Cluster": {"RootRotationInProgress": false}}}')
    assert not ucp.is_changing_root('{"Swarm": {}}')
