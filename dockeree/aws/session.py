"""The account and region at work: typed clients, made when first needed, whose errors are AwsError.

boto3 takes about 0.2 s to import; it is imported with the first client and not before, so that `--help` is quick.
Every call of every client goes through one method, which translates errors (failures.py) and tells observers what
was called.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dockeree.aws import failures
from dockeree.errors import AwsError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

ATTEMPTS = 10
"""botocore's `standard` retries: throttling, 5xx and lost connections, with jitter, at most 20 s between two."""
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
CONNECTIONS = 32
"""Steps run in threads over the same clients; botocore's own limit of 10 would make them wait for each other."""

CallObserver = Callable[[str, str], None]
"""Is told each call before it is made: the service (`ec2`) and the operation (`DescribeVpcs`)."""


@dataclass(frozen=True)
class Identity:
    """Who works: the account's number (12 digits) and the caller's ARN."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`: the second part of every ARN."""
        return self.arn.split(":")[1]


class Aws:
    """AWS in one region, with the operator's credentials. Safe to use from several threads."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        """`region` and `profile` win over AWS's usual environment variables and files; None asks those."""
        self._wanted_region = region
        self._profile = profile
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self.observers: list[CallObserver] = []

    @property
    def region(self) -> str:
        """The region's name. Raises AwsError when none is set anywhere.

        AWS's other tools read AWS_REGION first; botocore knows AWS_DEFAULT_REGION and the profile alone.
        """
        region = self._wanted_region or os.environ.get("AWS_REGION") or self._session.region_name
        if not region:
            raise AwsError("no AWS region is set", "Set `region` in the configuration, --region, or AWS_REGION.")
        return str(region)

    def identity(self) -> Identity:
        """Who works, asked once. Fails within seconds where AWS cannot be reached: it is the first call of all.

        Raises AwsError: no or expired credentials (with the login command), no network, no region.
        """
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        answer = self._client("sts", attempts=3).get_caller_identity()
        return Identity(account=answer["Account"], arn=answer["Arn"])

    @property
    def ec2(self) -> EC2Client:
        """EC2: networks, instances, launch templates."""
        client: EC2Client = self._client("ec2")
        return client

    @property
    def ec2_once(self) -> EC2Client:
        """EC2, each call made once: for what must not be repeated unseen (creating.py)."""
        client: EC2Client = self._client("ec2", attempts=1)
        return client

    @property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """Elastic Load Balancing, version 2."""
        client: ElasticLoadBalancingv2Client = self._client("elbv2")
        return client

    @property
    def autoscaling(self) -> AutoScalingClient:
        """EC2 Auto Scaling."""
        client: AutoScalingClient = self._client("autoscaling")
        return client

    @property
    def iam(self) -> IAMClient:
        """Roles and instance profiles."""
        client: IAMClient = self._client("iam")
        return client

    @property
    def ssm(self) -> SSMClient:
        """Systems Manager's parameters."""
        client: SSMClient = self._client("ssm")
        return client

    @property
    def s3(self) -> S3Client:
        """Buckets."""
        client: S3Client = self._client("s3")
        return client

    @property
    def sts(self) -> STSClient:
        """Who am I."""
        client: STSClient = self._client("sts")
        return client

    @property
    def route53(self) -> Route53Client:
        """Hosted zones."""
        client: Route53Client = self._client("route53")
        return client

    @property
    def service_quotas(self) -> ServiceQuotasClient:
        """The account's quotas."""
        client: ServiceQuotasClient = self._client("service-quotas")
        return client

    @cached_property
    def _session(self) -> boto3.session.Session:
        with self._lock:
            import boto3  # noqa: PLC0415 - 0.2 s that only commands which talk to AWS shall pay
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415

            try:
                return boto3.session.Session(profile_name=self._profile, region_name=self._wanted_region)
            except BotoCoreError as error:
                raise failures.from_silence(error, "", "", self._profile) from error

    def _client(self, service: str, attempts: int = ATTEMPTS) -> Any:
        key = f"{service}/{attempts}"
        with self._lock:  # creating a client is not thread safe in botocore, using one is
            if key not in self._clients:
                self._clients[key] = self._new_client(service, attempts)
            return self._clients[key]

    def _new_client(self, service: str, attempts: int) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - see _session

        session = self._session
        event = f"creating-client-class.{service}"
        mixin = _translating_client(service, self._profile, self._observe)

        def add_mixin(base_classes: list[type], **_: Any) -> None:
            base_classes.insert(0, mixin)

        session.events.register(event, add_mixin)
        try:
            return session.client(
                service,  # type: ignore[call-overload]
                region_name=self.region,
                config=Config(
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    read_timeout=READ_TIMEOUT_SECONDS,
                    max_pool_connections=CONNECTIONS,
                    user_agent_extra="dockeree",
                ),
            )
        finally:
            session.events.unregister(event, add_mixin)

    def _observe(self, service: str, operation: str) -> None:
        for observer in self.observers:
            observer(service, operation)


def _translating_client(service: str, profile: str | None, observe: CallObserver) -> type:
    """A base class for a botocore client (botocore's own way of extending one) through which each call goes."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415 - see _session

    class TranslatingClient:
        def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> Any:
            observe(service, operation_name)
            try:
                return super()._make_api_call(operation_name, api_params)  # type: ignore[misc]
            except ClientError as error:
                raise failures.from_answer(error, service, profile) from error
            except ParamValidationError:
                raise  # a mistake in this program, not something to act on
            except BotoCoreError as error:
                raise failures.from_silence(error, service, operation_name, profile) from error

    return TranslatingClient
