"""The managers' engines: installed by the boot script in their user data, awaited here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockeree.aws.console_output import console_output
from dockeree.aws.instances import Instance
from dockeree.errors import DockereeError, SshError, TimedOut
from dockeree.node import engine
from dockeree.ssh.connect import wait_for_ssh
from dockeree.ssh.known_hosts import KnownHosts, fingerprints_in
from dockeree.ssh.nodes import on_each, results
from dockeree.ssh.remote import Remote
from dockeree.steps.instances import LaunchManagers
from dockeree.steps.reaching import connect_to, last_words, managers_of
from dockeree.steps.step import Step
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster

SSH_SECONDS = 600.0
BOOT_SECONDS = 1200.0
"""apt may wait 600 s for an unattended upgrade to let go of dpkg's lock; then comes the installation itself."""
INTERVAL_SECONDS = 2.0
FINAL_WORDS = ("done", "error", "degraded done", "degraded error", "disabled")
COMMAND_NOT_FOUND = 127


class AwaitEngines(Step):
    """Wait until every manager lets us in, has done its first boot, and its engine answers, the same everywhere."""

    title = "Wait for the managers' engines"
    group = "managers"
    after = (LaunchManagers,)

    def run(self, cluster: Cluster) -> bool:
        managers = managers_of(cluster)
        versions = results(on_each(managers, lambda manager: _await_engine(cluster, manager)))
        if len(set(versions)) > 1:
            each = ", ".join(f"{m.name} has {version}" for m, version in zip(managers, versions, strict=True))
            raise DockereeError(
                f"the managers' engines differ: {each}",
                "Managers of one swarm must run the same engine: update the older ones (apt-mark unhold, apt-get "
                "install), one at a time, and run `dockeree up` again.",
            )
        cluster.detail(f"Docker Engine {versions[0]}")
        return False


def _await_engine(cluster: Cluster, manager: Instance) -> str:
    """The version of one manager's engine, once it is there to stay."""
    if not manager.public_ip:
        raise SshError(f"{manager.name} ({manager.id}) is {manager.state} and has no public address")
    try:
        wait_for_ssh(
            cluster.connect,
            name=manager.name,
            host=manager.public_ip,
            host_key_id=manager.id,
            timeout_seconds=SSH_SECONDS,
            interval_seconds=INTERVAL_SECONDS,
            clock=cluster.clock,
            cancelled=cluster.check_interrupted,
        )
        version = wait_until(
            lambda: _look(cluster, manager),
            awaited=f"Docker Engine on {manager.name}",
            timeout_seconds=BOOT_SECONDS,
            interval_seconds=INTERVAL_SECONDS,
            hint=f"Look at what it does: dockeree ssh {manager.name}",
            clock=cluster.clock,
            cancelled=cluster.check_interrupted,
        )
        _confirm_host_key(cluster, manager)
        return version
    except TimedOut as late:
        raise DockereeError(f"{late.message}; its last words: {last_words(cluster, manager)}", late.hint) from late


def _confirm_host_key(cluster: Cluster, manager: Instance) -> None:
    """Hold the host key, pinned while the node booted, against what its first boot then wrote to the console.

    Raises HostKeyChanged (SshError).
    """
    known_hosts = KnownHosts(cluster.state.known_hosts_path)
    if not known_hosts.is_confirmed(manager.id):
        fingerprints = fingerprints_in(console_output(cluster.aws, manager.id))
        known_hosts.confirm(manager.id, manager.public_ip or "", fingerprints)


def _look(cluster: Cluster, manager: Instance) -> tuple[str | None, str]:
    """The engine's version when the first boot is over and the engine answers, and what was seen in words.

    An engine that answers while cloud-init still runs does not count: the boot script restarts a preinstalled one
    when it changes its settings.
    """
    try:
        remote = connect_to(cluster, manager)
        status = remote.run(engine.CLOUD_INIT_STATUS, check=False, changes=False)
        word = engine.parse_cloud_init_status(status.stdout)
        if status.exit_status == COMMAND_NOT_FOUND:
            raise DockereeError(f"{manager.name}: the image has no cloud-init", "Choose another `image.ami`.")
        if word not in FINAL_WORDS:
            cluster.detail(f"{manager.name}: cloud-init is {word or 'not started'}")
            return None, f"cloud-init is {word or 'not started'}"
        version = engine.parse_version(remote.run(engine.VERSION, check=False, changes=False).stdout)
    except SshError as error:  # a reboot in the middle
        return None, error.message
    if version is None:
        _refuse_failed_boot(remote, manager, word)
        return None, f"cloud-init is {word}, and the engine does not answer"
    if status.exit_status != 0:
        cluster.report.warn(
            f"{manager.name}: its engine answers, but cloud-init is not content ({word}, exit {status.exit_status}): "
            "see `cloud-init status --long` there"
        )
    return version, version


def _refuse_failed_boot(remote: Remote, manager: Instance, word: str) -> None:
    """Say why at once when the first boot failed: waiting would not mend it."""
    if "error" not in word and word != "disabled":
        return
    journal = remote.run(engine.JOURNAL, check=False, changes=False).stdout
    reasons = [line for line in engine.parse_own_lines(journal) if "FAILED" in line]
    if not reasons:
        reasons = remote.run(engine.BOOT_LOG_TAIL, check=False, changes=False).stdout.strip().splitlines()
    raise DockereeError(
        f"{manager.name}: Docker Engine could not be installed: {reasons[-1] if reasons else f'cloud-init is {word}'}",
        f"The whole story: dockeree ssh {manager.name} -- sudo journalctl -u dockeree-engine\n"
        "The node tries again every minute; run `dockeree up` again when the cause is gone.",
    )
