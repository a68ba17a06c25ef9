"""Every command and its flags, a table for each series of releases: 3.2, and what later ones add.

Only what the documentation or published runs show is here: a flag that nobody has seen is refused.
"""

from __future__ import annotations

from dockeree.lab.standins.program.command_line import Flag, Kind
from dockeree.lab.standins.program.release import Release

COMMON = (Flag("debug", "switch", short="D"), Flag("jsonlog", "switch"))
INTERACTIVE = Flag("interactive", "switch", short="i")
REGISTRY = (
    Flag("registry-username", environment="REGISTRY_USERNAME"),
    Flag("registry-password", environment="REGISTRY_PASSWORD"),
)
PULL = Flag("pull", default="missing")
ADMIN = (Flag("admin-username", environment="UCP_ADMIN_USER"), Flag("admin-password", environment="UCP_ADMIN_PASSWORD"))
HOST_ADDRESS = Flag("host-address", environment="UCP_HOST_ADDRESS")
SAN = Flag("san", "list", environment="UCP_HOSTNAMES")
UNLOCK_KEY = Flag("unlock-key", environment="UNLOCK_KEY")
FORCE_MINIMUMS = Flag("force-minimums", "switch")
SWARM_GRPC_PORT = Flag("swarm-grpc-port", "number", default="2377")


def _switches(*names: str) -> tuple[Flag, ...]:
    return tuple(Flag(name, "switch") for name in names)


def _texts(*names: str, kind: Kind = "text") -> tuple[Flag, ...]:
    return tuple(Flag(name, kind) for name in names)


INSTALL = (
    *COMMON,
    INTERACTIVE,
    *ADMIN,
    Flag("azure-ip-count", default="128"),
    *_switches("binpack", "random"),
    *_texts("cloud-provider", "cni-installer-url"),
    Flag("controller-port", "number", default="443"),
    Flag("data-path-addr", environment="UCP_DATA_PATH_ADDR"),
    *_switches("disable-tracking", "disable-usage"),
    Flag("dns", "list", environment="DNS"),
    Flag("dns-opt", "list", environment="DNS_OPT"),
    Flag("dns-search", "list", environment="DNS_SEARCH"),
    *_switches("enable-profiling", "existing-config", "external-server-cert"),
    *_texts("external-service-lb"),
    *_switches("force-insecure-tcp"),
    FORCE_MINIMUMS,
    HOST_ADDRESS,
    *_texts("iscsiadm-path", "iscsidb-path"),
    Flag("kube-apiserver-port", "number", default="6443"),
    Flag("kv-snapshot-count", "number", default="20000", environment="KV_SNAPSHOT_COUNT"),
    Flag("kv-timeout", "number", default="5000", environment="KV_TIMEOUT"),
    Flag("license", environment="UCP_LICENSE"),
    Flag("nodeport-range", default="32768-35535"),
    Flag("pod-cidr", default="192.168.0.0/16"),
    *_switches("preserve-certs"),
    PULL,
    *REGISTRY,
    SAN,
    Flag("service-cluster-ip-range", default="10.96.0.0/16"),
    *_switches("skip-cloud-provider-check", "storage-expt-enabled", "storage-iscsi", "swarm-experimental"),
    SWARM_GRPC_PORT,
    Flag("swarm-port", "number", default="2376"),
    UNLOCK_KEY,
    *_switches("unmanaged-cni"),
)
UNINSTALL = (*COMMON, INTERACTIVE, Flag("id"), PULL, Flag("purge-config", "switch"), *REGISTRY)
BACKUP = (
    *COMMON,
    INTERACTIVE,
    Flag("file"),
    Flag("include-logs", "switch", default="true"),
    Flag("passphrase"),
    Flag("no-passphrase", "switch"),
)
RESTORE = (
    *COMMON,
    INTERACTIVE,
    Flag("data-path-addr", environment="UCP_DATA_PATH_ADDR"),
    FORCE_MINIMUMS,
    HOST_ADDRESS,
    Flag("passphrase"),
    SAN,
    SWARM_GRPC_PORT,
    UNLOCK_KEY,
)
UPGRADE = (
    *COMMON,
    INTERACTIVE,
    *ADMIN,
    FORCE_MINIMUMS,
    HOST_ADDRESS,
    Flag("id"),
    Flag("manual-worker-upgrade", "switch"),
    PULL,
    *REGISTRY,
)

SERIES_3_2: dict[str, tuple[Flag, ...]] = {
    "install": INSTALL,
    "uninstall-ucp": UNINSTALL,
    "backup": BACKUP,
    "restore": RESTORE,
    "upgrade": UPGRADE,
    "dump-certs": (*COMMON, *_switches("ca", "cluster")),
    "id": COMMON,
    "support": COMMON,
    "example-config": (),
    "images": (*COMMON, Flag("list", "switch"), PULL, *REGISTRY),
    "port-check-server": (Flag("listen-address", short="l", default=":2376"),),
}

MKE: dict[str, tuple[Flag, ...]] = {
    **SERIES_3_2,
    "install": (*INSTALL, Flag("default-node-orchestrator"), Flag("calico-vxlan", "switch")),
    "uninstall-ucp": (*UNINSTALL, *_switches("no-purge-secret", "unmanaged-cni")),
    "upgrade": (*UPGRADE, Flag("force-recent-backup", "switch")),
    "ca": (*COMMON, *_switches("cluster", "client", "etcd", "rotate")),
}


def commands_of(release: Release) -> dict[str, tuple[Flag, ...]]:
    """The commands of a release and their flags."""
    return MKE if release.is_at_least(3, 3) else SERIES_3_2
