"""UCP, once it stands: controllers awaited, its own settings, and what changed for the workers by its installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.errors import DockereeError
from dockeree.node import http, ucp
from dockeree.node.engine import INFO
from dockeree.node.http import Request
from dockeree.redaction import register_secret
from dockeree.steps.consoles import Manager, connected_managers, read_file
from dockeree.steps.load_balancers import RegisterManagers
from dockeree.steps.names import PublishNames
from dockeree.steps.step import Step
from dockeree.steps.swarm import PublishJoin, publish_join
from dockeree.steps.ucp_controllers import await_controllers, check_controllers, log_in
from dockeree.steps.ucp_install import InstallUcp
from dockeree.steps.ucp_password import keep_proved, password_of
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

ROOT_SECONDS = 600.0
SETTING_SECONDS = 120.0


class RepublishJoin(Step):
    """UCP gives the swarm a root of its own, and with it other join tokens: publish the one that holds now."""

    title = "Publish the workers' new way in"
    group = "ucp"
    after = (InstallUcp, PublishJoin)

    def run(self, cluster: Cluster) -> bool:
        _await_root(cluster, connected_managers(cluster)[0])
        return publish_join(cluster)


class AwaitControllers(Step):
    """Wait for every manager's controller, and hold each certificate against every name of UCP."""

    title = "Wait for UCP's controllers"
    group = "ucp"
    after = (InstallUcp, RegisterManagers, PublishNames)

    def run(self, cluster: Cluster) -> bool:
        check_controllers(cluster)
        return False


class ConfigureUcp(Step):
    """Log in, keep the password that was taken, give UCP its licence, and let administrators use the managers.

    Administrators' containers on managers are what DTR there needs; they are DTR's alone as long as nobody else is an
    administrator.
    """

    title = "Configure UCP"
    group = "ucp"
    after = (AwaitControllers,)

    def run(self, cluster: Cluster) -> bool:
        managers = connected_managers(cluster)
        first = managers[0]
        password = password_of(cluster)
        token = log_in(first, password)
        register_secret(token)
        changed = keep_proved(cluster, password)
        changed |= _license(cluster, first, token)
        if cluster.config.has_dtr and cluster.config.dtr.on == "managers":
            changed |= _allow_admin_scheduling(cluster, managers, token)
        return changed


def _await_root(cluster: Cluster, manager: Manager) -> None:
    """Tokens are changed when every node has a certificate of the new root, and no sooner."""

    def look() -> tuple[bool | None, str]:
        is_changing = ucp.is_changing_root(manager.remote.run(INFO, changes=False).stdout)
        return (None if is_changing else True), "nodes still get certificates of the new root"

    wait_until(
        look,
        awaited="the swarm's new root certificate on every node",
        timeout_seconds=ROOT_SECONDS,
        hint="A node that is down holds it up: `sudo docker node ls` on a manager shows it; `sudo docker node rm` it "
        "when it is gone for good.",
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _license(cluster: Cluster, manager: Manager, token: str) -> bool:
    """UCP's licence is the one in `ucp.license_file`; without a file, whatever UCP has stays."""
    path = cluster.config.ucp.license_file
    if not path:
        return False
    text = read_file(path, "ucp.license_file")
    try:
        wanted = ucp.license_key(text)
    except ValueError as error:
        raise DockereeError(f"ucp.license_file: {path} is no licence: {error}") from error
    if read_license(manager, token).get("key_id") == wanted:
        return False
    answer = http.call(manager.remote, ucp.put_license(manager.address, token, text))
    if not answer.is_ok:
        raise http.refuse(answer, "UCP does not take the licence", f"Is {path} the subscription's own file, and valid?")
    return True


def read_license(manager: Manager, token: str) -> dict[str, object]:
    """UCP's licence, empty without one. Raises DockereeError."""
    answer = http.call(manager.remote, Request(ucp.url(manager.address, "/api/config/license"), token=token))
    if answer.status == 404:
        return {}
    if not answer.is_ok:
        raise http.refuse(answer, "UCP does not tell its licence")
    return ucp.parse_license(answer.body)


def _allow_admin_scheduling(cluster: Cluster, managers: list[Manager], token: str) -> bool:
    """Switch it on, and see it on every controller: they share the configuration, each at its own pace."""
    first = managers[0]
    before = _read_config(first, token)
    try:
        if ucp.allows_admin_scheduling(before):
            return False
        after = ucp.with_admin_scheduling(before)
    except ValueError as error:
        raise DockereeError(
            f"UCP's configuration cannot be edited: {error}",
            "Switch on “Allow administrators to deploy containers on UCP managers” in UCP's console, under Admin "
            "Settings, Scheduler; then run `dockeree up` again.",
        ) from error
    answer = http.call(first.remote, ucp.put_config(first.address, token, after))
    if not answer.is_ok:
        raise http.refuse(answer, "UCP does not take its configuration")
    for manager in managers:
        _await_setting(cluster, manager, token)
    await_controllers(cluster, managers)
    return True


def _await_setting(cluster: Cluster, manager: Manager, token: str) -> None:
    def look() -> tuple[bool | None, str]:
        try:
            return (True if ucp.allows_admin_scheduling(_read_config(manager, token)) else None), "it is off"
        except DockereeError as error:  # the controller takes the new configuration over, and may start again for it
            return None, error.message

    wait_until(
        look,
        awaited=f"enable_admin_ucp_scheduling on {manager.name}",
        timeout_seconds=SETTING_SECONDS,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )


def _read_config(manager: Manager, token: str) -> str:
    answer = http.call(manager.remote, Request(ucp.url(manager.address, "/api/ucp/config-toml"), token=token))
    if not answer.is_ok:
        raise http.refuse(answer, f"UCP on {manager.name} does not tell its configuration")
    return answer.body
