"""How moto is set up for a lab: what it validates, what it loads, and an empty account to begin with."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from moto import settings
from moto.core import responses
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.model_instances import reset_model_data

from dockeree.lab.settings import ACCOUNT_ID

_method_names = responses.method_names_from_class


def configure_moto() -> None:
    """Switch on the checks that moto leaves off, and point it at the lab's account.

    moto reads some of these from the environment at each use and others once at import, so both are set. Its own
    images are left out (the lab has those that its nodes can boot, see images.py); AWS's managed policies are loaded.
    """
    os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ.pop("MOTO_ALLOW_NONEXISTENT_REGION", None)
    # moto looks every class through for its methods at each call, a quarter of its time.
    responses.method_names_from_class = cache(_method_names)
    settings.ENABLE_AMI_VALIDATION = True
    settings.ENABLE_KEYPAIR_VALIDATION = True
    settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True


def empty_account() -> None:
    """Forget every resource of every service and region, and let calls pass unchecked until `enforce_iam`."""
    # BackendDict.reset would build every backend anew only to drop it: IAM's 1,500 policies, and Auto Scaling's EC2
    # before the behaviours are there. Only those that have something to let go of (S3's files) are asked to.
    for service in BackendDict._instances:
        for _, _, service_backend in service.iter_backends():
            if type(service_backend).reset is not BaseBackend.reset:
                service_backend.reset()
        service.clear()
    BackendDict._instances.clear()
    reset_model_data()
    allow_everyone()


def enforce_iam() -> None:
    """From now on each call is checked: signature, policies, session token."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    ActionAuthenticatorMixin.request_count = 0


def allow_everyone() -> None:
    """Check nobody's permissions: moto's own default."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    ActionAuthenticatorMixin.request_count = 0


def backend(service_backends: Any, region: str) -> Any:
    """The lab's account's backend of a service, e.g. `backend(ec2_backends, "us-east-1")`."""
    return service_backends[ACCOUNT_ID][region]
