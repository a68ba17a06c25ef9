"""What the last screen of a command says: what stands now, where it is, and what to do next."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from dockeree.console import Screen
from dockeree.progress import duration

if TYPE_CHECKING:
    from dockeree.aws.cost import Cost
    from dockeree.aws.leftovers import Resource
    from dockeree.commands.session import Session
    from dockeree.context import Cluster
    from dockeree.workflows.destroy import DestroySummary, Inventory
    from dockeree.workflows.scale_workers import ScaleSummary
    from dockeree.workflows.up import UpSummary

TITLES = {"ucp": "UCP", "dtr": "DTR", "apps": "Apps"}
MOST_LEFTOVERS = 20


def show_up(session: Session, cluster: Cluster, summary: UpSummary) -> None:
    """After `up`: the addresses, the numbers, the costs, the records still to make."""
    screen = Screen(sys.stderr)
    took = duration(summary.result.elapsed_seconds)
    if summary.changed:
        screen.succeed(f"{cluster.name} is up in {took}")
    else:
        screen.succeed(f"{cluster.name} is up, and nothing changed ({took})")
    fields = [(TITLES.get(role, role), url) for role, url in summary.urls.items()]
    fields.append(("Nodes", f"{summary.managers} managers, {summary.workers} workers"))
    fields.append(("Costs", cost_words(summary.cost, session.next_command("destroy"))))
    if summary.records_to_make:
        fields.append(("Make", "\n".join(("these records of your own domain:", *summary.records_to_make))))
    next_commands = [session.next_command(command.removeprefix("dockeree ")) for command in summary.next_commands]
    fields.append(("Next", "\n".join(next_commands)))
    screen.fields(fields + _log_field(session))


def cost_words(cost: Cost, destroy_command: str) -> str:
    """What it costs until when, and what is not in the figure."""
    if cost.dollars_per_hour is None:
        return str(cost)
    month = f"${cost.dollars_per_month:,.0f}/month"
    return (
        f"{cost}, {month} until: {destroy_command}\n"
        f"(prices of {cost.dated}; not counted: {', '.join(cost.not_counted)})"
    )


def show_scaled(session: Session, cluster: Cluster, summary: ScaleSummary) -> None:
    """After `scale-workers`: how many there are, which came, which went."""
    screen = Screen(sys.stderr)
    took = duration(summary.elapsed_seconds)
    if not summary.changed:
        screen.succeed(f"{cluster.name} has {summary.after} workers, and nothing changed ({took})")
        return
    screen.succeed(f"{cluster.name} has {summary.after} workers, all Ready, in {took} (before: {summary.before})")
    came = [("Came", ", ".join(summary.added))] if summary.added else []
    went = [("Went", ", ".join(summary.removed))] if summary.removed else []
    screen.fields(came + went + _log_field(session))


def show_inventory(cluster: Cluster, found: Inventory) -> None:
    """Before `destroy`: what goes and what stays."""
    screen = Screen(sys.stderr)
    identity = cluster.aws.identity()
    screen.line((cluster.name, "header"), f"  {cluster.aws.region}  account {identity.account}  {identity.arn}")
    kinds = ", ".join(f"{count} {_plural(kind, count)}" for kind, count in found.counts.items())
    removes = f"{len(found.removes)} resources: {kinds}" if found.removes else "the claim of the name"
    wrapped = "\n".join(textwrap.wrap(removes, width=max(40, min(screen.size[0], 100) - 10)))
    screen.fields([("Removes", wrapped), ("Keeps", "\n".join(found.keeps) or "nothing")])


def show_destroyed(session: Session, cluster: Cluster, summary: DestroySummary) -> None:
    """After `destroy`: what the search at the end found."""
    screen = Screen(sys.stderr)
    total = len(summary.removed) + len(summary.left)
    if summary.left:
        screen.fail(f"{cluster.name} is not gone: {len(summary.left)} of {total} resources are left")
        screen.fields([("left", "\n".join(_listed(summary.left)))], indent="  ")
        screen.fields([("fix", f"{session.command_line}    (continues)")], indent="  ")
    else:
        screen.succeed(f"{cluster.name} destroyed in {duration(summary.seconds)}: {total} of {total} gone")
        kept = "".join(f"\nkept {bucket}" for bucket in summary.kept_buckets)
        screen.fields([("", f"the search at the end found 0 left{kept}")])
    screen.fields(_log_field(session), indent="  " if summary.left else "")


def show_nothing_to_destroy(cluster: Cluster, found: Inventory) -> None:
    """When there is no such cluster; an earlier one may have left buckets."""
    screen = Screen(sys.stderr)
    screen.succeed(f"there is no cluster {cluster.name} in {cluster.aws.region}: nothing to destroy")
    if found.kept_buckets:
        screen.fields([("Keeps", "\n".join(found.kept_buckets))])


def _listed(resources: tuple[Resource, ...]) -> list[str]:
    shown = [str(resource) for resource in resources[:MOST_LEFTOVERS]]
    more = len(resources) - len(shown)
    return [*shown, f"and {more} more: see the log"] if more else shown


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return f"{kind[:-1]}ies" if kind.endswith("y") and kind[-2] not in "aeiou" else f"{kind}s"


def _log_field(session: Session) -> list[tuple[str, str]]:
    path = session.log_file.path if session.log_file else None
    return [("Log", str(path))] if path else []
