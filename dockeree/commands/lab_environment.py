"""`dockeree --lab COMMAND`: start the lab unless it runs, and let the command see it in place of AWS."""

from __future__ import annotations

import os
from pathlib import Path

import click

import dockeree
from dockeree.commands.session import DEFAULT_CONFIG, Session
from dockeree.errors import DockereeError, UsageError

OPERATORS_OWN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
"""Any of these would lead a call past the lab, or send it with the operator's own credentials."""

BACKUP_PASSPHRASE = "only a rehearsal"
"""Locks the backups of a lab's root CAs, which nobody trusts, where the operator has set no passphrase."""


def enter_lab(session: Session) -> None:
    """Point this process at the lab.

    Raises UsageError when the lab's libraries are missing or a profile is asked for, DockereeError when the lab
    does not start.
    """
    if session.profile:
        raise UsageError("the lab has credentials of its own", hint="Leave out --profile, or --lab.")
    try:
        from dockeree.lab import control
        from dockeree.lab.world import LabError
    except ImportError as error:
        raise UsageError(f"the lab's libraries are missing ({error.name})", "pip install 'dockeree[lab]'") from error
    try:
        environment = control.ensure_started(control.lab_name(), progress=_say)
    except LabError as error:
        raise DockereeError(str(error), "dockeree lab stop    takes away what is left of it; then try again") from error
    replace_environment(environment)
    os.environ.setdefault("DOCKEREE_BACKUP_PASSPHRASE", BACKUP_PASSPHRASE)
    use_example_configuration(session)


def replace_environment(environment: dict[str, str]) -> None:
    """Put the lab's variables into this process's environment, and take the operator's own out."""
    for name in list(os.environ):
        if name in OPERATORS_OWN or name.startswith("AWS_ENDPOINT_URL"):
            del os.environ[name]
    os.environ.update(environment)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy of the operator's would be asked for this machine's own address
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


def use_example_configuration(session: Session) -> None:
    """In a checkout, and with no configuration at hand, the lab takes the example."""
    example = Path(dockeree.__file__).resolve().parent.parent / "config.example.yaml"
    if session.config_path is None and not Path(DEFAULT_CONFIG).exists() and example.exists():
        _say(f"no {DEFAULT_CONFIG} here: using {example}")
        session.example_config = str(example)


def _say(text: str) -> None:
    click.echo(text, err=True)
