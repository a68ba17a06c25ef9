"""What the preflight asks about UCP and DTR: the operator's files, the password, versions, and what is supported."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dockeree import compatibility, secrets
from dockeree.backup.certificates import is_signed_by, key_fits, names_in, read_certificates
from dockeree.errors import DockereeError
from dockeree.node import ucp
from dockeree.steps.consoles import certificate_files, read_file

if TYPE_CHECKING:
    from dockeree.config import Certificate
    from dockeree.context import Cluster

NOT_SUPPORTED = (
    "dtr.on: managers puts DTR beside UCP on the managers. Mirantis supports MSR on MKE workers only; "
    "`dtr.on: dedicated` gives it three machines of its own."
)


def console_problems(cluster: Cluster) -> list[str]:
    """What would stop UCP or DTR half way. Looks at this machine's files alone. Raises UsageError for the password."""
    if not cluster.config.ucp.enabled:
        return []
    secrets.given_password(os.environ)
    problems = _license_problems(cluster)
    for section in ("ucp", "dtr"):
        console = getattr(cluster.config, section)
        if console.certificate is not None and (section == "ucp" or cluster.config.has_dtr):
            problems += _certificate_problems(section, console.certificate, console.domain or "")
    return problems


def console_warnings(cluster: Cluster) -> list[str]:
    """What goes, and should be known before it is built."""
    if not cluster.config.ucp.enabled:
        return []
    warnings = compatibility.warnings(cluster.config, datetime.now(UTC).date())
    if cluster.config.has_dtr and cluster.config.dtr.on == "managers":
        warnings.append(NOT_SUPPORTED)
    return warnings


def _license_problems(cluster: Cluster) -> list[str]:
    path = cluster.config.ucp.license_file
    if not path:
        return []
    try:
        ucp.license_key(read_file(path, "ucp.license_file"))
    except DockereeError as error:
        return [error.message]
    except ValueError as error:
        return [f"ucp.license_file: {path} is no licence: {error}"]
    return []


def _certificate_problems(section: str, certificate: Certificate, domain: str) -> list[str]:
    """Whether the files are what they should be, the key fits, the chain holds, and the name is the domain's."""
    try:
        files = {name: text.encode() for name, text in certificate_files(certificate, section).items()}
        leaf = read_certificates(certificate.cert, files["cert.pem"])[0]
        problems = []
        if not key_fits(certificate.cert, files["cert.pem"], certificate.key, files["key.pem"]):
            problems.append(f"{section}.certificate.key: {certificate.key} is not the key of {certificate.cert}")
        if not is_signed_by(certificate.cert, files["cert.pem"], certificate.ca, files["ca.pem"]):
            problems.append(f"{section}.certificate.ca: {certificate.ca} did not sign {certificate.cert}")
        names = names_in(certificate.cert, files["cert.pem"])
    except DockereeError as error:
        return [f"{section}.certificate: {error.message}"]
    if not any(_matches(name, domain) for name in names):
        problems.append(f"{section}.certificate.cert is for {', '.join(names) or 'no name'}, not for {domain}")
    if datetime.fromisoformat(leaf.not_after) <= datetime.now(UTC):
        problems.append(f"{section}.certificate.cert has expired ({leaf.not_after})")
    return problems


def _matches(pattern: str, domain: str) -> bool:
    """A certificate's name against a domain: `*.` stands for exactly one label."""
    if pattern.startswith("*."):
        return domain.partition(".")[2] == pattern[2:].lower()
    return pattern.lower() == domain
