"""Whose resource it is: the tags that every resource carries from the call that creates it.

Everything is found again by these tags, never by what a file says. What takes no tags or cannot be filtered by them
(roles, balancers) has a fixed name with the cluster's id in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dockeree.errors import AwsError

CLUSTER_TAG = "dockeree:cluster"
ID_TAG = "dockeree:id"
ROLE_TAG = "dockeree:role"
NAME_TAG = "Name"

T = TypeVar("T")


@dataclass(frozen=True)
class Owner:
    """A cluster as the owner of resources: its name, its id (8 hexadecimal digits) and the operator's own tags."""

    cluster: str
    id: str
    own_tags: tuple[tuple[str, str], ...] = ()

    @property
    def fixed_name(self) -> str:
        """`NAME-ID`, the beginning of every name that must be unique in the account."""
        return f"{self.cluster}-{self.id}"

    def tags(self, role: str) -> dict[str, str]:
        """All tags of a resource with `role`; the operator's own never win over dockeree's."""
        return {
            NAME_TAG: f"{self.cluster}-{role}",
            **dict(self.own_tags),
            CLUSTER_TAG: self.cluster,
            ID_TAG: self.id,
            ROLE_TAG: role,
        }

    def tag_list(self, role: str) -> list[Any]:
        """The tags as most services take them: `[{"Key": …, "Value": …}]`."""
        return [{"Key": key, "Value": value} for key, value in self.tags(role).items()]

    def tag_specifications(self, role: str, *resource_types: str) -> list[Any]:
        """The tags as EC2's creating calls take them, for each of `resource_types` (`vpc`, `instance`, `volume`, …)."""
        return [{"ResourceType": resource_type, "Tags": self.tag_list(role)} for resource_type in resource_types]

    def filters(self, role: str | None = None, **others: str | Sequence[str]) -> list[Any]:
        """EC2 filters for what this cluster owns; `others` are further filters, `_` for `-` (`vpc_id="vpc-1"`)."""
        wanted: dict[str, str | Sequence[str]] = {f"tag:{CLUSTER_TAG}": self.cluster, f"tag:{ID_TAG}": self.id}
        if role is not None:
            wanted[f"tag:{ROLE_TAG}"] = role
        wanted |= {name.replace("_", "-"): value for name, value in others.items()}
        return filters(wanted)

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags is this cluster's."""
        return tags.get(CLUSTER_TAG) == self.cluster and tags.get(ID_TAG) == self.id


def filters(wanted: Mapping[str, str | Sequence[str]]) -> list[Any]:
    """EC2 filters, all of which must hold; several values of one filter are alternatives."""
    return [
        {"Name": name, "Values": [value] if isinstance(value, str) else list(value)} for name, value in wanted.items()
    ]


def as_dict(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """`[{"Key": …, "Value": …}]` as AWS answers it, as a dictionary."""
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or ()}


def only(found: Sequence[T], what: str, ids: Iterable[str]) -> T | None:
    """The one thing found, None for nothing. Two finds of one thing are an error, never a choice.

    Raises AwsError that names `ids`.
    """
    if len(found) > 1:
        raise AwsError(
            f"there is more than one {what}: {', '.join(ids)}",
            "Delete the one that is not in use, or take all of it away: dockeree destroy",
            code="Duplicate",
        )
    return found[0] if found else None


def not_found(what: str) -> AwsError:
    """What a step needs and should have been made by an earlier one is not there."""
    return AwsError(
        f"{what} is not there any more", "Run `dockeree up` again: it makes what is missing.", code="Missing"
    )
