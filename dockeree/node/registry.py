"""A registry's own API (Docker Registry HTTP API V2), as far as a probe needs it: push something small, pull it again.

By `curl` on a node, to one replica's own address: what is to be proved is that what one takes another one gives.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from dockeree.node import http
from dockeree.node.http import Answer, Request
from dockeree.redaction import register_secret
from dockeree.ssh.remote import Remote

REPOSITORY = "dockeree-probe"
TAG = "probe"
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Place:
    """A repository on one replica. `address` has the port, `host` is what the registry is called."""

    address: str
    host: str
    user: str
    password: str

    @property
    def name(self) -> str:
        """The repository with its account."""
        return f"{self.user}/{REPOSITORY}"

    def url(self, path: str) -> str:
        """A path of the registry's API below the repository."""
        return f"https://{self.address}/v2/{self.name}/{path}"


def probe_content(cluster_id: str) -> str:
    """What is pushed: an image's configuration without layers, the same at each push."""
    labels = {"dockeree.probe": cluster_id}
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }
    return json.dumps(document, sort_keys=True)


def digest_of(content: str) -> str:
    """A blob's name."""
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def manifest_of(content: str) -> str:
    """The manifest of an image that is `content` and nothing else."""
    size = len(content.encode())
    config = {"mediaType": _CONFIG_TYPE, "size": size, "digest": digest_of(content)}
    return json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": []})


def create_repository(remote: Remote, place: Place) -> Answer:
    """Make the repository: DTR takes no push into one that is not there. 409: it is."""
    body = json.dumps({"name": REPOSITORY, "visibility": "private", "shortDescription": "dockeree's probe image"})
    url = f"https://{place.address}/api/v0/repositories/{place.user}"
    return http.call(remote, Request(url, "POST", body, user=(place.user, place.password)))


def push(remote: Remote, place: Place, content: str) -> Answer:
    """Push the probe image: a blob, then its manifest. The first answer that is not as it should be, else the last."""
    authorized = _authorized(remote, place, "pull,push")
    started = http.call(remote, replace(authorized, url=place.url("blobs/uploads/"), method="POST", with_headers=True))
    location = _location(started.body)
    if started.status != 202 or not location:
        return started
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    upload = f"https://{place.address}{parts.path}?{query}digest={quote(digest_of(content), safe='')}"
    stored = http.call(
        remote,
        replace(authorized, url=upload, method="PUT", body=content, content_type="application/octet-stream"),
    )
    if not stored.is_ok:
        return stored
    manifest = replace(authorized, url=place.url(f"manifests/{TAG}"), method="PUT", body=manifest_of(content))
    return http.call(remote, replace(manifest, content_type=_MANIFEST_TYPE))


def pull(remote: Remote, place: Place, content: str) -> Answer:
    """Pull the probe image and compare: status 200 when the replica gives exactly `content`."""
    authorized = _authorized(remote, place, "pull")
    accept = {"Accept": _MANIFEST_TYPE}
    manifest = http.call(remote, replace(authorized, url=place.url(f"manifests/{TAG}"), headers=accept))
    if not manifest.is_ok:
        return manifest
    if digest_of(content) not in manifest.body:
        return Answer(http.UNREACHABLE, "the image there is another one")
    blob = http.call(remote, replace(authorized, url=place.url(f"blobs/{digest_of(content)}"), follow=True))
    if blob.is_ok and blob.body != content:
        return Answer(http.UNREACHABLE, "the image's content there is another one")
    return blob


def _authorized(remote: Remote, place: Place, actions: str) -> Request:
    """A request that may do `actions`: with a token where the registry gives them, else with the password itself."""
    scope = quote(f"repository:{place.name}:{actions}", safe="")
    url = f"https://{place.address}/auth/token?service={quote(place.host, safe='')}&scope={scope}"
    answer = http.call(remote, Request(url, user=(place.user, place.password)))
    try:
        document = answer.json() if answer.is_ok else {}
    except ValueError:
        document = {}
    token = str(document.get("token") or document.get("access_token") or "")
    if not token:
        return Request("", user=(place.user, place.password))
    register_secret(token)
    return Request("", token=token)


def _location(headers: str) -> str:
    found = re.search(r"^location:\s*(\S+)", headers, re.IGNORECASE | re.MULTILINE)
    return found.group(1) if found else ""
