"""Where DTR keeps the images: the cluster's bucket, switched on before anything is pushed, read back, and tried."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dockeree.aws import parameters
from dockeree.errors import DockereeError
from dockeree.node import dtr, http, registry
from dockeree.node.http import Answer
from dockeree.redaction import register_secret
from dockeree.steps.consoles import certificate_files
from dockeree.steps.dtr_master import InstallDtrMaster
from dockeree.steps.dtr_replicas import Registry, address_of, await_healthy, healthy_nodes, open_registry
from dockeree.steps.step import Step
from dockeree.steps.storage import CreateImageBucket, image_bucket
from dockeree.waiting import wait_until

if TYPE_CHECKING:
    from dockeree.context import Cluster
    from dockeree.steps.consoles import Manager

STORAGE_PATH = "/api/v0/admin/settings/registry/simple"
READ_BACK_SECONDS = 120.0
CREDENTIALS_HINT = (
    "The nodes give credentials by version 2 of the metadata service alone (IMDSv2), with a hop limit of 2 for "
    "containers; releases of DTR that know only version 1 get none. Set `dtr.s3.credentials: user` in the "
    "configuration, and run `dockeree up` again: DTR then has access keys of its own."
)


class ConfigureDtrStorage(Step):
    """Have DTR keep its images in the bucket, and try it: a push must go there."""

    title = "Put DTR's images into S3"
    group = "dtr"
    after = (InstallDtrMaster, CreateImageBucket)

    def run(self, cluster: Cluster) -> bool:
        opened = open_registry(cluster)
        node = _first_healthy(opened)
        changed = _certificate(opened, node)
        bucket = image_bucket(cluster).name
        wanted = dtr.s3_storage(cluster.aws.region, bucket, _keys(cluster))
        present = _read(opened, node)
        if _is_same(present, wanted["s3"]):
            return changed
        if present and present.get("bucket") != bucket:
            cluster.report.warn(
                f"DTR keeps its images in the bucket {present.get('bucket')}, not in {bucket}; it was left there: "
                "a change of the storage loses them unless they are copied first"
            )
            return changed
        _switch(opened, node, wanted)
        return True


def _first_healthy(opened: Registry) -> Manager:
    healthy = healthy_nodes(opened)
    if not healthy:
        raise DockereeError("no replica of DTR is well", "See `dockeree status`; run `dockeree up` again.")
    return healthy[0]


def _keys(cluster: Cluster) -> tuple[str, str] | None:
    """DTR's own access keys, with `dtr.s3.credentials: user`. Raises DockereeError when they are not there."""
    if cluster.config.dtr.s3.credentials == "role":
        return None
    kept = parameters.get_parameter(cluster.aws, parameters.registry_keys_name(cluster.name))
    if kept is None:
        raise DockereeError(f"DTR's access keys are not in {parameters.registry_keys_name(cluster.name)}")
    keys = json.loads(kept.value)
    register_secret(keys["secret_access_key"])
    return keys["access_key_id"], keys["secret_access_key"]


def _read(opened: Registry, node: Manager) -> dict[str, object]:
    """The registry's storage in S3 as DTR tells it; empty while it is elsewhere. Raises DockereeError."""
    answer = http.call(node.remote, dtr.get(address_of(node), STORAGE_PATH, opened.password))
    if not answer.is_ok:
        raise http.refuse(answer, f"DTR on {node.name} does not tell where it keeps its images")
    return dtr.parse_storage(answer.body)


def _is_same(present: dict[str, object], wanted: dict[str, object]) -> bool:
    """Whether DTR has the bucket, and the same way to it. A secret is not told back, so its key's id counts."""
    return bool(present) and all(
        present.get(key, "") == wanted.get(key, "") for key in ("bucket", "region", "accesskey")
    )


def _switch(opened: Registry, node: Manager, wanted: dict[str, object]) -> None:
    """Switch the storage, read it back, and push something: only that proves the credentials. Raises DockereeError."""
    cluster = opened.cluster
    address = address_of(node)
    answer = http.call(node.remote, dtr.put_storage(address, opened.password, wanted))
    if not answer.is_ok:
        raise _storage_failed(answer, "DTR does not take the bucket")
    s3 = wanted["s3"]
    if not isinstance(s3, dict):
        raise TypeError("the storage wanted is S3's")

    def look() -> tuple[bool | None, str]:
        try:
            return (True if _is_same(_read(opened, node), s3) else None), "it says another storage"
        except DockereeError as error:  # the registry starts again with its new storage
            return None, error.message

    wait_until(
        look,
        awaited=f"DTR on {node.name} with its images in {s3['bucket']}",
        timeout_seconds=READ_BACK_SECONDS,
        clock=cluster.clock,
        cancelled=cluster.check_interrupted,
    )
    await_healthy(cluster, node)
    push_probe(opened, node)


def push_probe(opened: Registry, node: Manager) -> None:
    """Push the probe image to a node's replica. Raises DockereeError that tells a failure of the credentials."""
    place = place_on(opened, node)
    made = registry.create_repository(node.remote, place)
    if not made.is_ok and made.status not in (404, 409):
        raise http.refuse(made, f"DTR on {node.name} makes no repository")
    content = registry.probe_content(opened.cluster.id)

    def look() -> tuple[Answer | None, str]:
        answer = registry.push(node.remote, place, content)
        is_starting = answer.status in (http.UNREACHABLE, 502, 504)
        return (None if is_starting else answer), str(answer)

    answer = wait_until(
        look,
        awaited=f"a push to DTR on {node.name}",
        timeout_seconds=READ_BACK_SECONDS,
        hint=CREDENTIALS_HINT,
        clock=opened.cluster.clock,
        cancelled=opened.cluster.check_interrupted,
    )
    if not answer.is_ok:
        raise _storage_failed(answer, f"DTR on {node.name} cannot store an image")


def place_on(opened: Registry, node: Manager) -> registry.Place:
    """The probe's repository on a node's replica."""
    return registry.Place(address_of(node), opened.host, dtr.ADMIN, opened.password)


def _storage_failed(answer: Answer, what: str) -> DockereeError:
    """A failure of the storage. What of it is one of the credentials' cannot be told for sure, so the way out is named
    for every refusal that S3 or the metadata service may be behind."""
    words = answer.body.lower()
    may_be_credentials = answer.status >= 500 or any(
        word in words for word in ("credential", "accessdenied", "access denied", "forbidden", "imds", "metadata")
    )
    return http.refuse(answer, what, CREDENTIALS_HINT if may_be_credentials else "")


def _certificate(opened: Registry, node: Manager) -> bool:
    """The operator's own certificate, given to DTR; its key goes there by standard input, not by the installer."""
    own = opened.cluster.config.dtr.certificate
    if own is None:
        return False
    files = certificate_files(own, "dtr")
    address = address_of(node)
    answer = http.call(node.remote, dtr.get(address, "/api/v0/meta/settings", opened.password))
    if not answer.is_ok:
        raise http.refuse(answer, f"DTR on {node.name} does not tell its settings")
    if answer.json().get("webTLSCert", "").strip() == files["cert.pem"].strip():
        return False
    register_secret(files["key.pem"].strip())
    settings = {
        "dtrHost": opened.host,
        "webTLSCert": files["cert.pem"],
        "webTLSKey": files["key.pem"],
        "webTLSCA": files["ca.pem"],
    }
    posted = http.call(node.remote, dtr.post_settings(address, opened.password, settings))
    if not posted.is_ok:
        raise http.refuse(posted, "DTR does not take the certificate", "Does dtr.certificate.key fit its cert?")
    await_healthy(opened.cluster, node)
    return True
