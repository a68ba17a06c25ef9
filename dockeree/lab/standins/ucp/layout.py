"""Names, ports and volumes of UCP's documentation."""

from __future__ import annotations

from collections.abc import Iterator

from dockeree.lab.standins.program.release import Release

CLUSTER_ROOT, CLIENT_ROOT = "ucp-cluster-root-ca", "ucp-client-root-ca"
SERVER_CERTS, CLIENT_CERTS, NODE_CERTS = "ucp-controller-server-certs", "ucp-controller-client-certs", "ucp-node-certs"

WORKER_VOLUMES = (NODE_CERTS,)
MANAGER_VOLUMES = (
    "ucp-auth-api-certs",
    "ucp-auth-store-certs",
    "ucp-auth-store-data",
    "ucp-auth-worker-certs",
    "ucp-auth-worker-data",
    CLIENT_ROOT,
    CLUSTER_ROOT,
    CLIENT_CERTS,
    SERVER_CERTS,
    "ucp-kv",
    "ucp-kv-certs",
    "ucp-metrics-data",
    "ucp-metrics-inventory",
    NODE_CERTS,
)

CLUSTER_ROOT_NAME, CLIENT_ROOT_NAME = "swarm-ca", "UCP Client Root CA"
"""Common names: the swarm's own, and UCP's for its users."""
MANAGER_UNIT = "swarm-manager"
"""The organizational unit in a manager's swarm certificate; a worker's is swarm-worker."""

PROXY_PORT = 12376
CLUSTER_ROOT_PORT, CLIENT_ROOT_PORT = 12381, 12382

INSTANCE_LABEL, VERSION_LABEL = "com.docker.ucp.InstanceID", "com.docker.ucp.version"
SANS_LABEL = "com.docker.ucp.SANs"
AGENT_SERVICE, UNINSTALL_SERVICE = "ucp-agent", "ucp-uninstall-agent"
RECONCILE_CONTAINER = "ucp-reconcile"
CONFIG_PREFIX, LICENSE_PREFIX, ACCOUNTS_PREFIX = (
    "com.docker.ucp.config",
    "com.docker.license",
    "com.docker.ucp.accounts",
)


def required_ports(release: Release, controller_port: int, kube_port: int, swarm_port: int) -> Iterator[int]:
    """TCP ports that must be free on a manager, but for those of the swarm itself."""
    yield from (179, controller_port, swarm_port, kube_port, 6444, 9099, 10250, PROXY_PORT, 12378)
    yield from range(12379, 12389)
    if release.is_at_least(3, 3):
        yield 12390


SWARM_PORTS = (2377, 7946)
"""Free where there is no swarm yet; the engine has them where there is one."""
