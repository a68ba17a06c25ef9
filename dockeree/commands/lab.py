"""`dockeree lab`: an AWS region on this machine."""

from __future__ import annotations

import json
from typing import Any

import click

from dockeree.errors import DockereeError, UsageError


@click.group(no_args_is_help=True)
def lab() -> None:
    """An AWS region on this machine: real API calls, real SSH, real Docker Engines where they can run.

    \b
    Examples:
      dockeree lab start                        start it (DOCKEREE_LAB=NAME chooses among several)
      dockeree lab start --nodes simulated      nodes as SSH servers over a model of docker
      eval "$(dockeree lab env)"                then `aws ec2 describe-instances` asks the lab
      dockeree --lab up                         start it if needed, and make a cluster in it
      dockeree lab stop                         take everything away
    """


_name_option = click.option("--name", default=None, help="Which lab.  [default: $DOCKEREE_LAB, else default]")


@lab.command()
@_name_option
@click.option(
    "--nodes",
    type=click.Choice(["machines", "simulated"]),
    help="Real system containers, or SSH servers over a model of docker.  [default: machines where they can run]",
)
@click.option("--time-scale", type=float, help="AWS's delays are multiplied by this: 1 takes as long as AWS does.")
def start(name: str | None, nodes: Any, time_scale: float | None) -> None:
    """Start the lab and wait until it answers."""
    control = _control()
    running = _guarded(lambda: control.start(name or control.lab_name(), nodes, time_scale, progress=_say))
    _say(f"lab {running.settings.name} runs at {running.endpoint_url} ({running.settings.nodes})")
    _say(f'next: dockeree --lab up    or: eval "$(dockeree lab env{_name_argument(name)})"')


@lab.command()
@_name_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(name: str | None, output: str) -> None:
    """Show the lab's endpoint, nodes and balancers. Exit 3 when it does not run."""
    control = _control()
    wanted = name or control.lab_name()
    running = control.find(wanted)
    if running is None:
        if output == "json":
            click.echo(json.dumps({"format_version": 1, "name": wanted, "running": False}))
        else:
            _say(f"lab {wanted} does not run; start it: dockeree lab start{_name_argument(name)}")
        raise SystemExit(3)
    answer = _guarded(lambda: control.ask(running, "status"))
    document = {"format_version": 1, "running": True, **answer, "endpoint_url": running.endpoint_url}
    if output == "json":
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(
        f"lab {wanted}  {running.endpoint_url}  {document['node_driver']}  log {running.settings.runtime_dir}/lab.log"
    )
    for instance in document["instances"]:
        fields = ("instance_id", "state", "private_ip", "public_ip", "name")
        click.echo("  ".join(str(instance.get(field) or "-") for field in fields))
    for balancer in document.get("balancers", []):
        click.echo(f"{balancer['name']}  {balancer['dns_name']}  {' '.join(balancer['addresses'])}")


@lab.command()
@_name_option
def stop(name: str | None) -> None:
    """End the lab and take away everything it made, also after its process was killed."""
    control = _control()
    wanted = name or control.lab_name()
    _say(
        f"lab {wanted} is gone"
        if _guarded(lambda: control.stop(wanted))
        else f"lab {wanted} does not run: nothing to do"
    )


@lab.command()
@_name_option
def env(name: str | None) -> None:
    """Print the environment in which any AWS client works against the lab, for `eval`."""
    control = _control()
    wanted = name or control.lab_name()
    running = control.find(wanted)
    if running is None:
        raise UsageError(f"lab {wanted} does not run", hint=f"dockeree lab start{_name_argument(name)}")
    for key, value in running.environment().items():
        click.echo(f"export {key}={value}")
    click.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")


@lab.command(name="power-cut")
@_name_option
@click.argument("instance_id")
def power_cut(name: str | None, instance_id: str) -> None:
    """Cut a node's power: nothing answers any more, EC2 still calls it running."""
    control = _control()
    wanted = name or control.lab_name()
    running = control.find(wanted)
    if running is None:
        raise UsageError(f"lab {wanted} does not run", hint=f"dockeree lab start{_name_argument(name)}")
    _guarded(lambda: control.ask(running, f"instances/{instance_id}/power-cut", method="POST"))
    _say(f"{instance_id} has no power")


def _control() -> Any:
    """The lab's control, imported late: its libraries are an extra that a real account does not need."""
    try:
        from dockeree.lab import control
    except ImportError as error:
        raise UsageError(
            f"the lab's libraries are missing ({error.name})", hint="pip install 'dockeree[lab]'"
        ) from error
    return control


def _guarded(call: Any) -> Any:
    """Call into the lab; what it cannot do becomes an error of the tool's family."""
    from dockeree.lab.world import LabError

    try:
        return call()
    except LabError as error:
        raise DockereeError(
            str(error), hint="dockeree lab stop    (takes away what is left), then start again"
        ) from error


def _name_argument(name: str | None) -> str:
    return f" --name {name}" if name else ""


def _say(text: str) -> None:
    click.echo(text, err=True)
