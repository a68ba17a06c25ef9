"""UCP's controllers awaited: each manager's own answer, and each served certificate held against every name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.errors import DockereeError
from dockeree.node import http, ucp
from dockeree.node.http import Answer, Request
from dockeree.ssh.nodes import on_each, results
from dockeree.ssh.remote import Remote
from dockeree.steps.consoles import Manager, connected_managers, host_of, read_file, verified_names
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

CONTROLLER_SECONDS = 900.0
CERTIFICATE_SECONDS = 300.0
BALANCER_SECONDS = 300.0
INTERVAL_SECONDS = 2.0


def ping(remote: Remote, address: str) -> Answer:
    """A controller's own word on its health. Only GET is answered (HEAD is 404)."""
    return http.call(remote, Request(ucp.url(address, "/_ping")), seconds=10)


def await_controllers(cluster: Cluster, managers: list[Manager]) -> None:
    """Wait until every manager's controller says that it is well, one thread a manager.

    Raises TimedOut that names the manager and its last answer.
    """

    def wait(manager: Manager) -> None:
        def look() -> tuple[bool | None, str]:
            answer = ping(manager.remote, manager.address)
            if answer.status != 200:
                cluster.detail(f"{manager.name}: {answer}")
            return (True if answer.status == 200 else None), str(answer)

        wait_until(
            look,
            awaited=f"UCP's controller on {manager.name}",
            timeout_seconds=CONTROLLER_SECONDS,
            interval_seconds=INTERVAL_SECONDS,
            hint=f"See what it says: dockeree ssh {manager.name} -- sudo docker logs --tail 20 {ucp.CONTROLLER}, "
            "and of what puts it there: sudo docker logs --tail 20 ucp-reconcile",
            clock=cluster.clock,
            cancelled=cluster.check_interrupted,
        )

    results(on_each(managers, wait))


def authorities_of(cluster: Cluster, manager: Manager) -> str:
    """What UCP's certificates are verified against (PEM): the operator's own chain, else what UCP hands out.

    It is asked of a manager by the manager itself. Raises DockereeError.
    """
    certificate = cluster.config.ucp.certificate
    if certificate:
        return read_file(certificate.ca, "ucp.certificate.ca")
    answer = http.call(manager.remote, Request(ucp.url(manager.address, "/ca")))
    if not answer.is_ok or "BEGIN CERTIFICATE" not in answer.body:
        raise http.refuse(answer, f"{manager.name} does not hand out UCP's authorities")
    return answer.body


def verify_certificates(cluster: Cluster, managers: list[Manager], authorities: str) -> None:
    """Hold the certificate that each controller serves against every name, as a client would.

    A label that was added makes UCP issue another certificate, which takes a moment. Raises DockereeError.
    """
    names = verified_names(cluster, "ucp")

    def verify(manager: Manager) -> None:
        for name in names:
            _verify_one(cluster, manager, name, authorities)

    results(on_each(managers, verify))


def _verify_one(cluster: Cluster, manager: Manager, name: str, authorities: str) -> None:
    target = f"{manager.address}:{ucp.PORT}"

    def look() -> tuple[bool | None, str]:
        answer = http.verify(manager.remote, f"https://{name}/_ping", authorities, connect_to=target)
        return (True if answer.status == 200 else None), str(answer)

    wait_until(
        look,
        awaited=f"a certificate of {manager.name} that is good for {name}",
        timeout_seconds=CERTIFICATE_SECONDS,
        interval_seconds=INTERVAL_SECONDS,
        hint=f"Its names come from the label {ucp.SANS_LABEL}: "
        f"dockeree ssh {manager.name} -- sudo docker node inspect self --format '{{{{json .Spec.Labels}}}}'"
        if not cluster.config.ucp.certificate
        else "It is your own: does ucp.certificate hold that name, and ca the authority that signed it?",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def await_balancer(cluster: Cluster, manager: Manager, role: str, path: str, authorities: str) -> None:
    """Wait until a console answers by its name through its balancer, as DTR and the nodes will call it.

    Raises DockereeError.
    """
    host = host_of(cluster, role)

    def look() -> tuple[bool | None, str]:
        answer = http.verify(manager.remote, f"https://{host}{path}", authorities)
        return (True if answer.status == 200 else None), str(answer)

    wait_until(
        look,
        awaited=f"https://{host}{path} from {manager.name}, through the balancer",
        timeout_seconds=BALANCER_SECONDS,
        interval_seconds=INTERVAL_SECONDS,
        hint="`dockeree status` shows how many of the balancer's targets are healthy.",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def check_controllers(cluster: Cluster) -> tuple[list[Manager], str]:
    """Everything of the above for UCP; the managers and the authorities."""
    managers = connected_managers(cluster)
    await_controllers(cluster, managers)
    authorities = authorities_of(cluster, managers[0])
    cluster.detail("certificates")
    verify_certificates(cluster, managers, authorities)
    cluster.detail("balancer")
    await_balancer(cluster, managers[0], "ucp", "/_ping", authorities)
    return managers, authorities


def log_in(manager: Manager, password: str) -> str:
    """A token of the administrator's, good on every controller. Raises DockereeError."""
    answer = http.call(manager.remote, ucp.login(manager.address, password), changes=False)
    if answer.status == 401:
        raise DockereeError(
            f"UCP on {manager.name} does not take the administrator's password ({answer})",
            "It was changed in UCP: set DOCKEREE_UCP_PASSWORD to the right one and run `dockeree up`, which keeps it. "
            "The one kept now: dockeree password ucp",
        )
    if not answer.is_ok:
        raise http.refuse(answer, f"nobody can log in to UCP on {manager.name}")
    try:
        return ucp.parse_login(answer.body)
    except ValueError as error:
        raise DockereeError(f"UCP on {manager.name} answers a login with something else than a token") from error
