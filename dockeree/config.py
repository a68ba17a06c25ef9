"""The configuration's schema: every key, its default and what it means.

`dockeree/config_file.py` reads the YAML file and reports every mistake with its line. Descriptions here are the
configuration reference (docs/configuration.md is generated from them).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Cidr = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
DomainName = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
]
ImageName = Annotated[
    str,
    StringConstraints(
        max_length=255,
        pattern=r"^[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
    ),
]
AgeRecipient = Annotated[
    str,
    StringConstraints(
        max_length=1000,
        pattern=r"^(age1[02-9ac-hj-np-z]{58}|ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}( .*)?)$",
    ),
]
KmsKeyId = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[A-Za-z0-9:/_-]+$")]
DOMAIN = "Your own domain name for it. The record to make is printed, or made in `dns.hosted_zone_id`."

POD_CIDR = "192.168.0.0/16"
"""UCP's default --pod-cidr; reserved from the first day, so that UCP can be installed later."""
SERVICE_CIDR = "10.96.0.0/16"
"""UCP's default --service-cluster-ip-range."""
DTR_OVERLAY_CIDR = "10.1.0.0/24"
"""DTR's default --overlay-subnet."""
DOCKER_BRIDGE_CIDR = "172.17.0.0/16"
"""The engine's docker0."""
GWBRIDGE_CIDR = "172.18.0.0/16"
"""The engine's docker_gwbridge, which every swarm node gets."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Section):
    """Addresses. None of them may overlap another, nor UCP's pods and services, nor the engines' bridges."""

    vpc_cidr: Cidr = Field(
        "10.32.0.0/16", description="The VPC's addresses, /16 to /22. Three subnets are cut from it."
    )
    swarm_pool: Cidr = Field(
        "10.128.0.0/10", description="Overlay networks are cut from this (`swarm init --default-addr-pool`)."
    )


class Managers(Section):
    """The three managers, one an availability zone."""

    instance_type: str = Field("m5.xlarge", description="EC2 instance type. UCP asks for 8 GiB and 2 vCPU at least.")
    volume_gib: int = Field(100, ge=25, le=16384, description="Size of the encrypted gp3 root volume, in GiB.")


class Workers(Section):
    """The workers' Auto Scaling group."""

    instance_type: str = Field("m5.large", description="EC2 instance type.")
    volume_gib: int = Field(50, ge=25, le=16384, description="Size of the encrypted gp3 root volume, in GiB.")
    count: int = Field(3, ge=0, le=1000, description="Workers at creation. Later: `dockeree scale-workers N`.")
    min: int = Field(1, ge=0, le=1000, description="The group's minimum.")
    max: int = Field(10, ge=0, le=1000, description="The group's maximum.")


class Image(Section):
    """The machine image of every node."""

    ami: Annotated[str, StringConstraints(pattern=r"^ami-[0-9a-f]{8,17}$")] | None = Field(
        None,
        description="An AMI id. Default: Ubuntu 24.04's current AMI, resolved once per cluster and recorded in its "
        "tags.",
    )


class Ssh(Section):
    """How the operator reaches the nodes."""

    key: str | None = Field(
        None,
        description="Path of your private key (the agent is asked first; `NAME.pub` beside it is enough when the agent "
        "holds it). Default: a key pair of the cluster's own, kept beside the state and as a SecureString.",
    )
    user: str = Field("ubuntu", description="The image's login.")
    port: Port = Field(22, description="sshd's port in the image. The environment's DOCKEREE_SSH_PORT wins.")


class Engine(Section):
    """Where Docker Engine comes from."""

    source: Literal["ubuntu", "preinstalled", "mirantis", "docker"] = Field(
        "ubuntu",
        description="`ubuntu`: the distribution's docker.io. `preinstalled`: the image has it. `mirantis`: Mirantis "
        "Container Runtime. `docker`: Docker's own packages.",
    )
    channel: str | None = Field(
        None,
        description="Release channel of the `mirantis` (default stable-25.0.14) or `docker` (stable) source.",
    )


class Certificate(Section):
    """A console's own certificate, as PEM files beside the configuration or anywhere on this machine."""

    ca: str = Field(description="Path of the certificates that signed it, the root last.")
    cert: str = Field(description="Path of the certificate, followed by intermediate ones.")
    key: str = Field(description="Path of its private key, without a passphrase.")


class Ucp(Section):
    """Universal Control Plane (Mirantis Kubernetes Engine 3), on the three managers, behind its own balancer."""

    enabled: bool = Field(True, description="Install UCP. Without it there is a Swarm cluster, and no DTR either.")
    image: ImageName = Field(
        "mirantis/ucp:3.8.12",
        description="The installer's image. Its tag is the version; what goes together: dockeree/compatibility.yaml.",
    )
    domain: DomainName | None = Field(None, description=DOMAIN)
    license_file: str | None = Field(
        None, description="Path of the subscription (`docker_subscription.lic`). Without it UCP runs unlicensed."
    )
    certificate: Certificate | None = Field(
        None, description="A certificate of your own for `domain`. Default: one signed by UCP's own authority."
    )


class S3Storage(Section):
    """How DTR gets at the bucket that holds the images."""

    credentials: Literal["role", "user"] = Field(
        "role",
        description="`role`: the nodes' own role, through the metadata service. `user`: access keys of an IAM user "
        "made for it, for versions of DTR that know only the metadata service's version 1.",
    )


class Dtr(Section):
    """Docker Trusted Registry (Mirantis Secure Registry 2), three replicas behind a balancer of their own."""

    enabled: bool = Field(
        False,
        description="Install DTR. It needs UCP. Off by default as long as its installation has not been proved: "
        "the lab has no DTR to install.",
    )
    image: ImageName = Field("mirantis/dtr:2.9.29", description="The installer's image. Its tag is the version.")
    on: Literal["managers", "dedicated"] = Field(
        "managers",
        description="`managers`: beside UCP on the three managers. Mirantis supports MSR on MKE workers only; "
        "`dedicated`: on three machines of its own, which are workers.",
    )
    domain: DomainName | None = Field(None, description=DOMAIN)
    certificate: Certificate | None = Field(
        None, description="A certificate of your own for `domain`. Default: one signed by DTR's own authority."
    )
    instance_type: str = Field("m5.xlarge", description="EC2 instance type of the machines of `on: dedicated`.")
    volume_gib: int = Field(
        100, ge=25, le=16384, description="Size of their encrypted gp3 root volumes, in GiB, for `on: dedicated`."
    )
    s3: S3Storage = Field(default_factory=S3Storage)


class Backup(Section):
    """The encrypted copies of the root certificate authorities in S3 (`dockeree backup-ca`)."""

    recipients: tuple[AgeRecipient, ...] = Field(
        (),
        max_length=20,
        description="Public keys of those who may open a backup: `age1…` or `ssh-ed25519 …`. Without any, the "
        "passphrase in the environment's DOCKEREE_BACKUP_PASSPHRASE, or typed at a prompt.",
    )
    skip: bool = Field(False, description="Go without: `up` makes no backup, and `status` warns of it.")


class Secrets(Section):
    """The cluster's secrets in Systems Manager's parameter store."""

    kms_key_id: (
        Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[A-Za-z0-9:/_-]+$")] | None
    ) = Field(
        None,
        description="A KMS key (id, ARN or `alias/NAME`) that encrypts UCP's password and DTR's access keys. "
        "Default: AWS's own key for parameters.",
    )


class Apps(Section):
    """The applications' balancer."""

    ports: tuple[Port, ...] = Field(
        (80, 443), min_length=1, max_length=50, description="TCP ports handed to the workers."
    )
    preserve_client_ip: bool = Field(
        False,
        description="Hand the client's address to the workers. A container can then not reach the balancer when it "
        "would be sent back to its own node.",
    )


class Dns(Section):
    """Public names."""

    hosted_zone_id: Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{1,32}$")] | None = Field(
        None,
        description="A Route 53 public hosted zone in which the records of ucp.domain and dtr.domain are made.",
    )


class Config(Section):
    """A cluster."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,10}[a-z0-9]$")] = Field(
        description="The cluster's name: 2 to 12 of a-z, 0-9 and -, as it is part of balancers' names (32 characters)."
    )
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = Field(
        None,
        description="AWS region. Default: --region, AWS_REGION, AWS_DEFAULT_REGION, the profile's region.",
    )
    admin_cidrs: tuple[Cidr | Literal["auto"], ...] = Field(
        min_length=1,
        description="Who may reach SSH and the consoles. `auto`: this machine's public address, found and shown.",
    )
    availability_zones: tuple[str, ...] | None = Field(
        None,
        min_length=3,
        max_length=3,
        description="Three zones. Default: the first three that offer the types.",
    )
    permissions_boundary: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:policy/.+$")] | None
    ) = Field(None, description="ARN of a policy set as permissions boundary of every role made.")
    tags: dict[str, str] = Field(default_factory=dict, description="Your own tags, on everything that takes tags.")
    network: Network = Field(default_factory=Network)
    managers: Managers = Field(default_factory=Managers)
    workers: Workers = Field(default_factory=Workers)
    image: Image = Field(default_factory=Image)
    ssh: Ssh = Field(default_factory=Ssh)
    engine: Engine = Field(default_factory=Engine)
    ucp: Ucp = Field(default_factory=Ucp)
    dtr: Dtr = Field(default_factory=Dtr)
    apps: Apps = Field(default_factory=Apps)
    dns: Dns = Field(default_factory=Dns)
    backup: Backup = Field(default_factory=Backup)
    secrets: Secrets = Field(default_factory=Secrets)

    @property
    def has_dtr(self) -> bool:
        """Whether DTR is to be installed: it lives on UCP."""
        return self.ucp.enabled and self.dtr.enabled
