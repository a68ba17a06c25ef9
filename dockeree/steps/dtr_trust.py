"""Every engine trusts DTR: its authorities in `/etc/docker/certs.d/NAME/ca.crt`, verified TLS and nothing less.

They are published for nodes to come, whose boot writes them before they join, and put on those that are there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dockeree.aws import instances, parameters, roles
from dockeree.aws.instances import Instance
from dockeree.errors import DockereeError, TimedOut
from dockeree.node import dtr, http
from dockeree.node.http import Request
from dockeree.ssh.connect import wait_for_ssh
from dockeree.ssh.nodes import on_each
from dockeree.steps.consoles import Manager, read_file
from dockeree.steps.dtr_replicas import Registry, address_of, open_registry
from dockeree.steps.dtr_storage import ConfigureDtrStorage
from dockeree.steps.found import owner_of
from dockeree.steps.step import Step

if TYPE_CHECKING:
    from dockeree.context import Cluster

TRUST_FORMAT_VERSION = 1
TRUST_ROLE = "dtr-ca"
WORKER_SECONDS = 120.0
"""How long a worker may take to let us in: it may be booting, and may have looked before there was anything."""


class TrustDtr(Step):
    """Publish what DTR's certificate is verified against, then write it on every node that runs."""

    title = "Have every engine trust DTR"
    undo_title = "Delete what engines trust DTR by"
    group = "dtr"
    after = (ConfigureDtrStorage,)

    def run(self, cluster: Cluster) -> bool:
        opened = open_registry(cluster)
        authorities = authorities_of_dtr(opened, opened.nodes[0])
        changed = _publish(opened, authorities)
        owner = owner_of(cluster)
        nodes = [item for item in instances.find_instances(cluster.aws, owner) if item.state in ("pending", "running")]
        outcomes = on_each(nodes, lambda node: _write(cluster, node, opened.host, authorities))
        for outcome in outcomes:
            if outcome.error is None:
                changed |= bool(outcome.result)
            elif outcome.node.role == instances.WORKER_ROLE and isinstance(outcome.error, DockereeError):
                cluster.report.warn(
                    f"{outcome.node.name} could not be told to trust DTR: {outcome.error.message}. "
                    "It trusts it from its next boot on; `dockeree up` tells it sooner."
                )
            else:
                raise outcome.error
        return changed

    def undo(self, cluster: Cluster) -> bool:
        deleted = [
            parameters.delete_parameter(cluster.aws, parameters.registry_trust_name(cluster.name, role))
            for role in roles.NODE_ROLES
        ]
        return any(deleted)


def authorities_of_dtr(opened: Registry, node: Manager) -> str:
    """What DTR's certificates are verified against (PEM): the operator's own chain, else what DTR hands out itself.

    Raises DockereeError.
    """
    own = opened.cluster.config.dtr.certificate
    if own is not None:
        return read_file(own.ca, "dtr.certificate.ca")
    answer = http.call(node.remote, Request(f"https://{address_of(node)}/ca"))
    if not answer.is_ok or "BEGIN CERTIFICATE" not in answer.body:
        raise http.refuse(answer, f"DTR on {node.name} does not hand out its authorities")
    return answer.body


def _publish(opened: Registry, authorities: str) -> bool:
    """For each role a parameter of its own, as each may read its own path alone. They are public certificates."""
    cluster = opened.cluster
    value = json.dumps({"format_version": TRUST_FORMAT_VERSION, "host": opened.host, "ca": authorities})
    written = [
        parameters.ensure_parameter(
            cluster.aws,
            owner_of(cluster),
            parameters.registry_trust_name(cluster.name, role),
            value,
            role=TRUST_ROLE,
            is_secret=False,
        )
        for role in roles.NODE_ROLES
    ]
    return any(written)


def _write(cluster: Cluster, node: Instance, host: str, authorities: str) -> bool:
    """Write the authorities on a node; whether it had others, or none. Raises SshError, TimedOut, CommandFailed."""
    if not node.public_ip:
        raise TimedOut(f"a public address of {node.name}", 0.0, node.state)
    remote = wait_for_ssh(
        cluster.connect,
        name=node.name,
        host=node.public_ip,
        host_key_id=node.id,
        timeout_seconds=WORKER_SECONDS,
        interval_seconds=2.0,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )
    present = remote.run(dtr.read_trust_command(host), check=False, changes=False)
    if present.exit_status == 0 and present.stdout == authorities:
        return False
    remote.run(dtr.trust_command(host), stdin=authorities.encode())
    return True
