"""The flags of each command, against the documentation's own lists, written down here as they are published."""

from __future__ import annotations

import pytest

from dockeree.lab.standins.program.command_line import Flag, UsageError, parse
from dockeree.lab.standins.program.release import Release
from dockeree.lab.standins.ucp.command_table import commands_of

SERIES_3_2, MKE = Release("mirantis/ucp:3.2.8"), Release("mirantis/ucp:3.8.12")

COMMON = "--debug/-D --jsonlog"
INSTALL_3_2 = """
--debug/-D --jsonlog --interactive/-i --admin-username[UCP_ADMIN_USER] --admin-password[UCP_ADMIN_PASSWORD]
--azure-ip-count(128) --binpack --random --cloud-provider --cni-installer-url --controller-port(443)
--data-path-addr[UCP_DATA_PATH_ADDR] --disable-tracking --disable-usage --dns[DNS] --dns-opt[DNS_OPT]
--dns-search[DNS_SEARCH] --enable-profiling --existing-config --external-server-cert --external-service-lb
--force-insecure-tcp --force-minimums --host-address[UCP_HOST_ADDRESS] --iscsiadm-path --iscsidb-path
--kube-apiserver-port(6443) --kv-snapshot-count(20000)[KV_SNAPSHOT_COUNT] --kv-timeout(5000)[KV_TIMEOUT]
--license[UCP_LICENSE] --nodeport-range(32768-35535) --pod-cidr(192.168.0.0/16) --preserve-certs --pull(missing)
--registry-username[REGISTRY_USERNAME] --registry-password[REGISTRY_PASSWORD] --san[UCP_HOSTNAMES]
--service-cluster-ip-range(10.96.0.0/16) --skip-cloud-provider-check --storage-expt-enabled --storage-iscsi
--swarm-experimental --swarm-grpc-port(2377) --swarm-port(2376) --unlock-key[UNLOCK_KEY] --unmanaged-cni
"""
ADMIN = "--admin-username[UCP_ADMIN_USER] --admin-password[UCP_ADMIN_PASSWORD]"
REGISTRY = "--registry-username[REGISTRY_USERNAME] --registry-password[REGISTRY_PASSWORD]"
UNINSTALL = f"{COMMON} --interactive/-i --id --pull(missing) --purge-config {REGISTRY}"
UPGRADE = f"""{COMMON} --interactive/-i {ADMIN} --force-minimums --host-address[UCP_HOST_ADDRESS] --id
--manual-worker-upgrade --pull(missing) {REGISTRY}"""

DOCUMENTED_3_2 = {
    "install": INSTALL_3_2,
    "uninstall-ucp": UNINSTALL,
    "backup": f"{COMMON} --interactive/-i --file --include-logs(true) --passphrase --no-passphrase",
    "restore": f"""{COMMON} --interactive/-i --data-path-addr[UCP_DATA_PATH_ADDR] --force-minimums
        --host-address[UCP_HOST_ADDRESS] --passphrase --san[UCP_HOSTNAMES] --swarm-grpc-port(2377)
        --unlock-key[UNLOCK_KEY]""",
    "upgrade": UPGRADE,
    "dump-certs": f"{COMMON} --ca --cluster",
    "id": COMMON,
    "support": COMMON,
    "example-config": "",
    "images": f"{COMMON} --list --pull(missing) {REGISTRY}",
    "port-check-server": "--listen-address/-l(:2376)",
}
DOCUMENTED_MKE = {
    **DOCUMENTED_3_2,
    "install": f"{INSTALL_3_2} --default-node-orchestrator --calico-vxlan",
    "uninstall-ucp": f"{UNINSTALL} --no-purge-secret --unmanaged-cni",
    "upgrade": f"{UPGRADE} --force-recent-backup",
    "ca": f"{COMMON} --cluster --client --etcd --rotate",
}


def written(flag: Flag) -> str:
    """As the lists above write it."""
    default = f"({flag.default})" if flag.default else ""
    return (
        f"--{flag.name}"
        + (f"/-{flag.short}" if flag.short else "")
        + default
        + (f"[{flag.environment}]" if flag.environment else "")
    )


@pytest.mark.parametrize(
    ("release", "command", "documented"),
    [
        (release, command, documented)
        for release, table in ((SERIES_3_2, DOCUMENTED_3_2), (MKE, DOCUMENTED_MKE))
        for command, documented in table.items()
    ],
    ids=lambda value: value.tag if isinstance(value, Release) else None,
)
def test_a_command_has_the_documented_flags_and_no_others(release: Release, command: str, documented: str) -> None:
    assert sorted(written(flag) for flag in commands_of(release)[command]) == sorted(documented.split())


def test_there_are_the_documented_commands_and_no_others() -> None:
    assert set(commands_of(SERIES_3_2)) == set(DOCUMENTED_3_2)
    assert set(commands_of(MKE)) == set(DOCUMENTED_MKE)
    assert len(INSTALL_3_2.split()) == 46


@pytest.mark.parametrize(
    ("release", "command", "words"),
    [
        # Up to 3.1 only.
        (SERIES_3_2, "backup", ["--id", "x"]),
        (MKE, "backup", ["--id", "x"]),
        # 1.1 only.
        (SERIES_3_2, "backup", ["--root-ca-only"]),
        (MKE, "restore", ["--root-ca-only"]),
        # Nobody has seen it as a flag.
        (MKE, "install", ["--swarm-only"]),
        # Of later releases.
        (SERIES_3_2, "install", ["--default-node-orchestrator", "swarm"]),
        (SERIES_3_2, "uninstall-ucp", ["--no-purge-secret"]),
        # DTR's, not UCP's.
        (MKE, "install", ["--ucp-url", "x"]),
    ],
)
def test_a_flag_of_another_release_is_refused(release: Release, command: str, words: list[str]) -> None:
    with pytest.raises(UsageError, match=f"flag provided but not defined: {words[0][1:]}"):
        parse(commands_of(release)[command], words, {})


def test_the_command_line_that_dockeree_sends_is_taken() -> None:
    words = ["--host-address", "10.32.0.5", "--san", "ucp.example.com", "--san=lb.example.com", "--pull", "never"]
    environment = {"UCP_ADMIN_USER": "admin", "UCP_ADMIN_PASSWORD": "secret-secret"}
    values = parse(commands_of(MKE)["install"], words, environment)
    assert values.texts("san") == ["ucp.example.com", "lb.example.com"]
    assert values.text("admin-password") == "secret-secret"
    assert values.number("controller-port") == 443
    assert not values.switch("force-minimums")
