"""UCP's installation, on the manager that leads the swarm.

It takes minutes, and this tool may be killed in them. So the node is labelled before it begins and the label taken
away when it has ended well: what a later run finds is UCP, or what is left of an installation of ours that may be
cleared away, or something that nobody may touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.compatibility import parse_image
from dockeree.config import POD_CIDR, SERVICE_CIDR
from dockeree.errors import DockereeError
from dockeree.node import installer, ucp
from dockeree.node.engine import read_info
from dockeree.ssh.nodes import on_each, results
from dockeree.steps.consoles import (
    Manager,
    as_tar,
    certificate_files,
    connected_managers,
    names_of,
    read_file,
    swarm_leader,
)
from dockeree.steps.enterprise_images import PullUcpImages
from dockeree.steps.step import Step
from dockeree.steps.ucp_controllers import ping
from dockeree.steps.ucp_labels import LabelManagers, read_labels
from dockeree.steps.ucp_password import KeepPassword, password_of
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster
    from dockeree.ssh.remote import Remote

INSTALL_SECONDS = 1800.0
SETTLE_SECONDS = 180.0
"""How long a UCP that is there may take to answer: after a reboot of every manager."""
INTERRUPTED_SECONDS = 30.0
"""The same, for one whose installation was not seen to end well."""


class InstallUcp(Step):
    """Install UCP, unless it is there; go on after an installation that broke off."""

    title = "Install UCP"
    group = "ucp"
    after = (LabelManagers, PullUcpImages, KeepPassword)

    def run(self, cluster: Cluster) -> bool:
        managers = connected_managers(cluster)
        leader = swarm_leader(cluster, managers)
        _await_bootstrapper(cluster, managers)
        marked = _marked(leader.remote, managers)
        if _is_there(cluster, managers, leader, is_marked=bool(marked)):
            _unmark(leader.remote, marked)
            _compare_versions(cluster, managers)
            return bool(marked)
        if _is_anything_there(managers, leader):
            if not marked:
                raise _broken(leader)
            _clear_away(cluster, leader)
        _install(cluster, managers, leader)
        return True


def _await_bootstrapper(cluster: Cluster, managers: list[Manager]) -> None:
    """Let an installer that an interrupted run left behind come to its end: the engine goes on with it."""
    for manager in managers:
        state = _components(manager).bootstrapper
        if state == "running":
            cluster.detail(f"an installer is at work on {manager.name}: waiting for its end")
            manager.remote.run(ucp.FOLLOW_BOOTSTRAPPER, timeout_seconds=INSTALL_SECONDS, check=False, changes=False)
        elif state:
            manager.remote.run(ucp.REMOVE_BOOTSTRAPPER, check=False)


def _marked(orders: Remote, managers: list[Manager]) -> list[str]:
    """The nodes on which an installation began and was not seen to end well."""
    labels = read_labels(orders, [manager.node_id for manager in managers])
    return [node_id for node_id, found in labels.items() if ucp.INSTALLING_LABEL in found]


def _unmark(orders: Remote, node_ids: list[str]) -> None:
    for node_id in node_ids:
        orders.run(ucp.unlabel_command(node_id, ucp.INSTALLING_LABEL))


def _is_anything_there(managers: list[Manager], leader: Manager) -> bool:
    return _has_agents(leader) or any(_components(manager).names for manager in managers)


def _is_there(cluster: Cluster, managers: list[Manager], leader: Manager, *, is_marked: bool) -> bool:
    """Whether UCP stands: its agents' service, and a controller that answers.

    Where the installation was not seen to end well, every controller must answer. It is given time, as after a reboot.
    """
    if not _has_agents(leader) or not any(ucp.CONTROLLER in _components(manager).names for manager in managers):
        return False
    deadline = cluster.clock.now() + (INTERRUPTED_SECONDS if is_marked else SETTLE_SECONDS)

    def look() -> tuple[bool | None, str]:
        answers = results(on_each(managers, lambda manager: ping(manager.remote, manager.address)))
        healthy = [answer.status == 200 for answer in answers]
        if all(healthy) if is_marked else any(healthy):
            return True, ""
        return (False if cluster.clock.now() >= deadline else None), str(answers[0])

    return wait_until(
        look,
        awaited="a controller of UCP",
        timeout_seconds=SETTLE_SECONDS * 2,
        interval_seconds=2.0,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _has_agents(leader: Manager) -> bool:
    return ucp.AGENT_SERVICE in leader.remote.run(ucp.AGENT, changes=False).stdout.split()


def _components(manager: Manager) -> ucp.Components:
    return ucp.parse_components(manager.remote.run(ucp.COMPONENTS, changes=False).stdout)


def _compare_versions(cluster: Cluster, managers: list[Manager]) -> None:
    wanted = parse_image(cluster.config.ucp.image).version
    installed = next(filter(None, (_components(manager).version for manager in managers)), "")
    if installed and parse_image(f"ucp:{installed}").version != wanted:
        cluster.report.warn(
            f"UCP {installed} is installed, and ucp.image is {cluster.config.ucp.image}: `up` does not upgrade UCP"
        )


def _broken(leader: Manager) -> DockereeError:
    return DockereeError(
        "UCP is installed, and none of its controllers answers; nothing was changed",
        f"See what they say: dockeree ssh {leader.name} -- sudo docker logs --tail 20 {ucp.CONTROLLER}\n"
        "Agents put back what is missing; a restart of the managers' engines, one after the other, makes them look "
        "again. A UCP that is past help is restored from its own backup, or taken away with `uninstall-ucp`.",
    )


def _clear_away(cluster: Cluster, leader: Manager) -> None:
    """Take away what is left of an installation that broke off: nobody has used it yet."""
    cluster.report.say("An earlier installation of UCP broke off: clearing it away, then installing again.")
    cluster.detail("clearing away an installation that broke off")
    image = cluster.config.ucp.image
    swarm_id = read_info(leader.remote).swarm.cluster_id
    command = ucp.uninstall_command(image, swarm_id, parse_image(image).version or ())
    result = leader.remote.run(command, timeout_seconds=INSTALL_SECONDS, check=False)
    if failure := installer.judge(result):
        raise DockereeError(
            f"what is left of an earlier installation cannot be cleared away, on {leader.name}, at “{failure.phase}”: "
            f"{failure.reason}",
            "See the log; `dockeree up` tries again. By hand: "
            f"dockeree ssh {leader.name} -- {command}\n"
            "At the worst `dockeree destroy` and `dockeree up` make a new cluster: nothing was installed on it yet.",
        )


def _install(cluster: Cluster, managers: list[Manager], leader: Manager) -> None:
    config = cluster.config.ucp
    if config.license_file:
        content = read_file(config.license_file, "ucp.license_file")
        leader.remote.run(ucp.WRITE_LICENSE, stdin=content.encode())
    if config.certificate:
        archive = as_tar(certificate_files(config.certificate, "ucp"))
        for manager in managers:
            manager.remote.run(ucp.WRITE_CERTIFICATES, stdin=archive)
    command = ucp.install_command(
        config.image,
        host_address=leader.address,
        sans=names_of(cluster, "ucp"),
        pod_cidr=POD_CIDR,
        service_cidr=SERVICE_CIDR,
        has_license=bool(config.license_file),
        has_certificate=bool(config.certificate),
    )
    password = password_of(cluster)
    leader.remote.run(ucp.label_command(leader.node_id, ucp.INSTALLING_LABEL, "true"))
    cluster.detail(f"the installer is at work on {leader.name}")
    result = leader.remote.run(
        command,
        stdin=installer.secret_line(password),
        secrets=(password,),
        timeout_seconds=INSTALL_SECONDS,
        check=False,
    )
    if config.license_file:
        leader.remote.run(ucp.REMOVE_LICENSE)
    if failure := installer.judge(result):
        raise install_failed("UCP", leader.name, failure)
    _unmark(leader.remote, [leader.node_id])


def install_failed(product: str, node: str, failure: installer.Failure) -> DockereeError:
    """The error of an installer: phase, node, reason, its last lines, what to do."""
    before = "".join(f"\n  {line}" for line in failure.last_lines)
    return DockereeError(
        f"{product} could not be installed on {node}, at “{failure.phase}”: {failure.reason}"
        + (f"\nbefore that:{before}" if before else ""),
        f"When the cause is gone, run `dockeree up` again: it clears away what is left of this attempt.\n"
        f"To look around: dockeree ssh {node}",
    )
