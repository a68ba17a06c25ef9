"""DTR proved: its certificate on every replica, its balancer, and an image that one replica takes and another gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.node import http, registry
from dockeree.node.http import Answer
from dockeree.steps.consoles import Manager
from dockeree.steps.dtr_join import JoinDtrReplicas
from dockeree.steps.dtr_replicas import Registry, address_of, await_healthy, open_registry
from dockeree.steps.dtr_storage import place_on, push_probe
from dockeree.steps.dtr_trust import TrustDtr, authorities_of_dtr
from dockeree.steps.step import Step
from dockeree.steps.ucp_controllers import CERTIFICATE_SECONDS, await_balancer
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

PULL_SECONDS = 120.0


class VerifyDtr(Step):
    """Hold every replica's certificate against DTR's name, and pull from each what the first one was given."""

    title = "Prove DTR"
    group = "dtr"
    after = (JoinDtrReplicas, TrustDtr)

    def run(self, cluster: Cluster) -> bool:
        opened = open_registry(cluster)
        for node in opened.nodes:
            await_healthy(cluster, node)
        authorities = authorities_of_dtr(opened, opened.nodes[0])
        for node in opened.nodes:
            _verify_certificate(opened, node, authorities)
        await_balancer(cluster, opened.nodes[0], "dtr", "/_ping", authorities)
        return _verify_images(opened)


def _verify_certificate(opened: Registry, node: Manager, authorities: str) -> None:
    cluster = opened.cluster

    def look() -> tuple[bool | None, str]:
        url = f"https://{opened.host}/_ping"
        answer = http.verify(node.remote, url, authorities, connect_to=address_of(node))
        return (True if answer.status == 200 else None), str(answer)

    wait_until(
        look,
        awaited=f"a certificate of DTR on {node.name} that is good for {opened.host}",
        timeout_seconds=CERTIFICATE_SECONDS,
        interval_seconds=2.0,
        hint="It is your own: does dtr.certificate hold that name, and ca the authority that signed it?"
        if cluster.config.dtr.certificate
        else "DTR's name is its external URL's: `docker run IMAGE reconfigure --dtr-external-url` changes it.",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _verify_images(opened: Registry) -> bool:
    """Every replica gives the probe image; it is pushed to the first one where one does not. True when it was."""
    if all(_pull(opened, node).is_ok for node in opened.nodes):
        return False
    push_probe(opened, opened.nodes[0])
    for node in opened.nodes:
        _await_image(opened, node)
    return True


def _await_image(opened: Registry, node: Manager) -> None:
    def look() -> tuple[bool | None, str]:
        answer = _pull(opened, node)
        return (True if answer.is_ok else None), str(answer)

    wait_until(
        look,
        awaited=f"the image pushed to {opened.nodes[0].name}, pulled from DTR on {node.name}",
        timeout_seconds=PULL_SECONDS,
        interval_seconds=2.0,
        hint="Replicas share one storage: does DTR's console show the bucket under Settings, Storage?",
        clock=opened.cluster.clock,
        cancelled=opened.cluster.check_interrupted,
    )


def _pull(opened: Registry, node: Manager) -> Answer:
    return registry.pull(node.remote, place_on(opened, node), registry.probe_content(opened.cluster.id))
