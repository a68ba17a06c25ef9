"""Access: the key that opens the nodes, and what the nodes may do in the account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dockeree import state as local
from dockeree.aws import key_pairs, parameters, roles
from dockeree.errors import DockereeError
from dockeree.ssh import keys
from dockeree.steps.claim import ClaimCluster
from dockeree.steps.found import owner_of, waits_of
from dockeree.steps.step import Step
from dockeree.steps.storage import bucket_statements

if TYPE_CHECKING:
    from dockeree.context import Cluster

SSH_KEY_ROLE = "ssh-key"


class CreateKeyPair(Step):
    """The operator's public key, or a key pair of the cluster's own that survives the loss of every local file.

    A key of the cluster's own is written to the account first (a SecureString for operators), then beside the state,
    and only then given to EC2: nothing ever stands that no key opens.
    """

    title = "Import the SSH key"
    undo_title = "Delete the key pair"
    group = "access"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        configured = cluster.config.ssh.key
        if configured:
            public_key, changed = keys.public_key(Path(configured).expanduser()).text, False
        else:
            public_key, changed = _own_key(cluster)
        owner = owner_of(cluster)
        found = key_pairs.find_key_pair(cluster.aws, owner)
        if found is None:
            found, changed = key_pairs.import_key_pair(cluster.aws, owner, public_key), True
        elif found.public_key and found.public_key != key_pairs.without_comment(public_key):
            raise _other_key(cluster, found.name)
        cluster.state.put("key-pair", found.id)
        return changed

    def undo(self, cluster: Cluster) -> bool:
        deleted = key_pairs.delete_key_pair(cluster.aws, owner_of(cluster))
        return parameters.delete_parameter(cluster.aws, parameters.ssh_key_name(cluster.name)) or deleted


class CreateRoles(Step):
    """A role and an instance profile for managers, and for workers: each reads its own parameters.

    Managers also reach the buckets: they put backups and read none, and keep the registry's images.
    """

    title = "Create the nodes' roles"
    undo_title = "Delete the nodes' roles"
    group = "access"
    after = (ClaimCluster,)

    def run(self, cluster: Cluster) -> bool:
        identity = cluster.aws.identity()
        paths = {
            "manager": parameters.manager_path(cluster.name),
            "worker": parameters.worker_path(cluster.name),
        }
        changed = False
        for node_role in roles.NODE_ROLES:
            policy = roles.node_policy(
                partition=identity.partition,
                region=cluster.aws.region,
                account=identity.account,
                path=paths[node_role],
                more=bucket_statements(cluster) if node_role == "manager" else (),
            )
            boundary = cluster.config.permissions_boundary
            changed |= roles.ensure_role(cluster.aws, owner_of(cluster), node_role, policy, boundary, waits_of(cluster))
        return changed

    def undo(self, cluster: Cluster) -> bool:
        owner, waits = owner_of(cluster), waits_of(cluster)
        deleted = [roles.delete_role(cluster.aws, owner, node_role, waits) for node_role in roles.NODE_ROLES]
        return any(deleted)


def recover_key_file(cluster: Cluster) -> bool:
    """Write the cluster's own key from the account beside the state, where the file is missing; True when it was.

    For every command that goes to the nodes on a machine that has never seen the cluster.
    """
    path = cluster.state.ssh_key_path
    if cluster.config.ssh.key or path.exists():
        return False
    kept = parameters.get_parameter(cluster.aws, parameters.ssh_key_name(cluster.name))
    if kept is None:
        return False
    _write(cluster, kept.value)
    return True


def _own_key(cluster: Cluster) -> tuple[str, bool]:
    """The cluster's own public key: of the account's copy, else of the local file, else of a new key.

    And whether the account's copy was made: a local file that is fetched again changes nothing of the cluster.
    """
    path = cluster.state.ssh_key_path
    name = parameters.ssh_key_name(cluster.name)
    kept = parameters.get_parameter(cluster.aws, name)
    is_new = kept is None
    if kept is not None:
        private_key = kept.value
    else:
        private_key = path.read_text(encoding="ascii") if path.exists() else _new_key(cluster)
        parameters.create_parameter(
            cluster.aws, owner_of(cluster), name, private_key, role=SSH_KEY_ROLE, is_secret=True
        )
        kept = parameters.get_parameter(cluster.aws, name)  # somebody else may have been quicker
        private_key = kept.value if kept is not None else private_key
    if not path.exists() or path.read_text(encoding="ascii") != private_key:
        _write(cluster, private_key)
    return keys.public_key_text(private_key), is_new


def _new_key(cluster: Cluster) -> str:
    if key_pairs.find_key_pair(cluster.aws, owner_of(cluster)) is not None:
        raise DockereeError(
            f"the private key of {cluster.name} is lost: it is neither in {cluster.state.ssh_key_path} "
            f"nor in {parameters.ssh_key_name(cluster.name)}, and the nodes know no other",
            "Put the file back from a copy; without one, `dockeree destroy` and `dockeree up` make a new cluster.",
        )
    return keys.generate_private_key()


def _write(cluster: Cluster, private_key: str) -> None:
    local.make_private_folder(cluster.state.folder)
    local.write_private_file(cluster.state.ssh_key_path, private_key.encode("ascii"))


def _other_key(cluster: Cluster, name: str) -> DockereeError:
    wanted = cluster.config.ssh.key or str(cluster.state.ssh_key_path)
    return DockereeError(
        f"the key pair {name} holds another public key than {wanted}",
        "The nodes know the key that they were launched with: set `ssh.key` back to that one.",
    )
