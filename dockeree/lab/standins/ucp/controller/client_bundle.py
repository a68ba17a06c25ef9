"""The client bundle: a ZIP with a user's certificate for the Docker command line and for kubectl.

Its root holds the documented files; `meta.json` and `tls/` are what `docker context import` reads. Newer command lines
(since 2020) refuse an archive that holds anything else: for those, `meta.json` and `tls/` are taken out of it.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile

from dockeree.lab.standins.program.certificates import KeyPair, public_pem


def client_bundle(user: str, pair: KeyPair, authorities: bytes, *, host: str, port: int, kube_port: int) -> bytes:
    """The archive. `authorities` are the PEM certificates that the server's is checked against; `host` its name."""
    files = {
        "ca.pem": authorities,
        "cert.pem": pair.certificate_pem,
        "key.pem": pair.key_pem,
        "cert.pub": public_pem(pair.key),
        "env.sh": _env_sh(user, host, port).encode(),
        "env.cmd": _env_cmd(host, port).encode(),
        "kube.yml": _kube_yml(user, pair, authorities, f"https://{host}:{kube_port}").encode(),
        "meta.json": json.dumps(_meta(user, host, port, kube_port)).encode(),
    }
    for endpoint in ("docker", "kubernetes"):
        for name in ("ca.pem", "cert.pem", "key.pem"):
            files[f"tls/{endpoint}/{name}"] = files[name]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100600 if name.endswith("key.pem") else 0o100644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _meta(user: str, host: str, port: int, kube_port: int) -> dict[str, object]:
    return {
        "Name": f"ucp_{host}:{port}_{user}",
        "Metadata": {"StackOrchestrator": "swarm"},
        "Endpoints": {
            "docker": {"Host": f"tcp://{host}:{port}", "SkipTLSVerify": False},
            "kubernetes": {
                "Host": f"https://{host}:{kube_port}",
                "SkipTLSVerify": False,
                "DefaultNamespace": "default",
            },
        },
    }


def _env_sh(user: str, host: str, port: int) -> str:
    return f"""\
export COMPOSE_TLS_VERSION=TLSv1_2
export DOCKER_CERT_PATH=$PWD
export DOCKER_HOST=tcp://{host}:{port}
export DOCKER_TLS_VERIFY=1
export KUBECONFIG=$PWD/kube.yml
#
# Bundle for user {user}
# eval $(<env.sh)
"""


def _env_cmd(host: str, port: int) -> str:
    lines = (
        "@echo off",
        "set COMPOSE_TLS_VERSION=TLSv1_2",
        "set DOCKER_CERT_PATH=%~dp0",
        f"set DOCKER_HOST=tcp://{host}:{port}",
        "set DOCKER_TLS_VERIFY=1",
        "set KUBECONFIG=%~dp0kube.yml",
        "",
    )
    return "\r\n".join(lines)


def _kube_yml(user: str, pair: KeyPair, authorities: bytes, server: str) -> str:
    name = f"ucp_{server.partition('//')[2]}_{user}"
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    certificate-authority-data: {base64.b64encode(authorities).decode()}
    server: {server}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
current-context: {name}
preferences: {{}}
users:
- name: {name}
  user:
    client-certificate-data: {base64.b64encode(pair.certificate_pem).decode()}
    client-key-data: {base64.b64encode(pair.key_pem).decode()}
"""
