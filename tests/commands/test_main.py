"""The command line itself: help, slips, options that work everywhere, errors and exit codes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from support.command_line import MINIMAL, CommandLine

from dockeree.commands.main import COMMANDS, cli
from dockeree.context import Interrupted
from dockeree.errors import AwsError, PreflightError, StepsFailed, UsageError

ROOT = Path(__file__).parent.parent.parent


def raising(error: BaseException) -> Any:
    def work(*_arguments: object) -> None:
        raise error

    return work


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from dockeree.commands.main import run\n"
        "run(['--help'])\n"
        "heavy = {'boto3', 'botocore', 'paramiko', 'rich', 'pydantic', 'yaml', 'moto'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    durations = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        durations.append(time.perf_counter() - began)
        assert done.returncode == 0, done.stderr
    assert min(durations) < 1.0, "some 60 ms on an idle machine; this bound holds on a busy one"


def test_bare_command_and_both_help_options_show_the_same(dockeree: CommandLine) -> None:
    texts = {dockeree("-h").stdout, dockeree("--help").stdout, dockeree("help").stdout}
    assert len(texts) == 1
    text = texts.pop()
    bare = dockeree()
    assert bare.code == 2
    assert bare.stderr.strip() == text.strip()
    assert text.index("Examples:") < text.index("Cluster:") < text.index("Options:")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_the_one_line_of_the_list(dockeree: CommandLine, name: str) -> None:
    outcome = dockeree(name, "-h")
    assert outcome.code == 0
    assert "Examples:" in outcome.stdout
    assert dockeree("help", name).stdout == outcome.stdout
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    if name != "lab":
        assert outcome.stdout.index("Examples:") < outcome.stdout.index(command.help.split()[0] + " ")
        assert "Options of every command:" in outcome.stdout


def test_a_slip_is_answered_with_a_suggestion(dockeree: CommandLine) -> None:
    outcome = dockeree("statsu")
    assert outcome.code == 2
    assert "Did you mean 'status'?" in outcome.stderr
    outcome = dockeree("up", "--regoin", "x")
    assert outcome.code == 2
    assert "Did you mean '--region'?" in outcome.stderr


def test_version(dockeree: CommandLine) -> None:
    from dockeree import __version__

    assert dockeree("--version").stdout == f"dockeree {__version__}\n"


@pytest.mark.parametrize("topic", ["exit-codes", "environment", "files"])
def test_topics_of_help(dockeree: CommandLine, topic: str) -> None:
    assert dockeree("help", topic).stdout.count("\n") >= 4
    assert dockeree("help", "exit-code").code == 2


@pytest.mark.parametrize("arguments", [("-c", "other.yaml", "up"), ("up", "-c", "other.yaml")])
def test_common_options_work_before_and_after_the_command(dockeree: CommandLine, arguments: tuple[str, ...]) -> None:
    outcome = dockeree(*arguments)
    assert outcome.code == 2
    assert "other.yaml: there is no such file" in outcome.stderr


def test_an_option_after_the_command_wins(dockeree: CommandLine) -> None:
    assert "b.yaml" in dockeree("-c", "a.yaml", "up", "-c", "b.yaml").stderr


def test_without_a_configuration_nothing_else_is_looked_for(dockeree: CommandLine) -> None:
    outcome = dockeree("up")
    assert outcome.code == 2
    assert "config.yaml: there is no such file" in outcome.stderr


def test_three_mistakes_are_three_lines_that_begin_with_the_file(dockeree: CommandLine) -> None:
    dockeree.configure("name: demo\nadmin_cidrs: [auto]\nworkers: {cuont: 3}\nmanagers: {x: 1}\nregion: 3\n")
    outcome = dockeree("up")
    assert outcome.code == 2
    assert outcome.stdout == ""
    assert sum(line.startswith("config.yaml:") for line in outcome.stderr.splitlines()) == 3
    assert "did you mean count?" in outcome.stderr
    assert dockeree.log_texts() == []


def test_an_error_is_a_short_screen_with_cause_fix_and_log(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("up", up=raising(AwsError("the quota is 16 vCPU\nit needs 18", "dockeree explain QUOTA")))
    outcome = dockeree("up")
    assert outcome.code == 1
    lines = outcome.stderr.splitlines()
    assert len(lines) <= 15
    assert lines[0] == "✗ the quota is 16 vCPU"
    assert [line.split()[0] for line in lines[1:]] == ["cause", "fix", "log"]
    assert "Traceback" not in outcome.stderr
    log = next(line.split()[1] for line in lines if line.split()[0] == "log")
    path, _, number = log.rpartition(":")
    assert Path(path).read_text().splitlines()[int(number) - 1].endswith("Traceback (most recent call last):")


def test_failed_steps_are_named_with_what_stands_and_how_to_go_on(dockeree: CommandLine) -> None:
    def up(cluster: Any) -> None:
        cluster.report.plan([("network/A", "Create the VPC", ()), ("workers/B", "Start workers", ("network/A",))])
        cluster.report.started("network/A")
        cluster.report.finished("network/A", 1.0, True)
        error = AwsError("no capacity in us-east-1a", "Try another type.")
        cluster.report.started("workers/B")
        cluster.report.failed("workers/B", 2.0, error)
        raise StepsFailed([("workers/B", error)], "Start workers: no capacity")

    dockeree.configure()
    dockeree.provide("up", up=up)
    outcome = dockeree("up", "--progress", "plain")
    assert outcome.code == 1
    screen = outcome.stderr[outcome.stderr.index("✗ workers: Start workers\n") :].splitlines()
    assert screen[1:5] == [
        "  cause  no capacity in us-east-1a",
        "  fix    Try another type.",
        "  state  1 of 2 steps done, nothing removed",
        "  then   dockeree up --progress plain    (continues)",
    ]


def test_however_much_fails_the_screen_stays_short(dockeree: CommandLine) -> None:
    def up(cluster: Any) -> None:
        cluster.report.plan([(f"group{number}/A", "Do it", ()) for number in range(6)])
        errors = [
            (f"group{n}/A", AwsError("\n".join(f"line {m} of {n}" for m in range(9)), "Mend it.")) for n in range(6)
        ]
        raise StepsFailed(errors, "six failures")

    dockeree.configure()
    dockeree.provide("up", up=up)
    lines = dockeree("up", "--progress", "quiet").stderr.splitlines()
    assert len(lines) <= 15, lines
    assert [line for line in lines if line.startswith("✗")] == [f"✗ group{number}: Do it" for number in range(3)]
    assert lines[-1].endswith("(and 3 more failures)")
    assert all(f"line 8 of {number}" in dockeree.log_texts()[0] for number in range(6)), "the log has all of it"


def test_all_reasons_of_a_preflight_are_shown(dockeree: CommandLine) -> None:
    dockeree.configure()
    reasons = [f"reason {number}" for number in range(8)]
    dockeree.provide("up", up=raising(PreflightError("8 problems", reasons, "Fix them.")))
    outcome = dockeree("up")
    assert outcome.code == 1
    assert all(f"- {reason}\n" in outcome.stderr for reason in reasons)


def test_a_defect_is_said_as_one_and_its_traceback_is_in_the_log_alone(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("up", up=raising(KeyError("vpc")))
    outcome = dockeree("up")
    assert outcome.code == 1
    assert outcome.stderr.startswith("✗ unexpected: KeyError: 'vpc'\n")
    assert "Traceback" not in outcome.stderr
    assert "raise error\nKeyError" in "".join(t.split("Z ", 1)[-1] + "\n" for t in dockeree.log_texts()[0].splitlines())


@pytest.mark.parametrize("error", [Interrupted(), KeyboardInterrupt(), click.Abort()])
def test_an_interruption_ends_with_130_and_says_how_to_continue(dockeree: CommandLine, error: BaseException) -> None:
    dockeree.configure()
    dockeree.provide("up", up=raising(error))
    outcome = dockeree("up")
    assert outcome.code == 130
    assert "up was interrupted" in outcome.stderr
    assert "dockeree up    (continues)" in outcome.stderr


def test_usage_errors_end_with_2(dockeree: CommandLine) -> None:
    dockeree.configure()
    dockeree.provide("up", up=raising(UsageError("wrong", "right")))
    assert dockeree("up").code == 2
    assert dockeree("up", "surplus").code == 2
    assert dockeree("scale-workers", "-1").code == 2
    assert dockeree("scale-workers").code == 2
    assert dockeree("up", "--progress", "loud").code == 2


def test_two_commands_at_once_the_second_is_told_who_works(dockeree: CommandLine) -> None:
    from dockeree.state import State

    dockeree.configure()
    dockeree.provide("up", up=raising(AssertionError("must not run")))
    with State.open(dockeree.folder, "demo").lock("dockeree destroy"):
        outcome = dockeree("up")
    assert outcome.code == 1
    assert "another command works on demo" in outcome.stderr
    assert "dockeree destroy" in outcome.stderr


def test_going_to_another_region_by_a_slip_is_refused(dockeree: CommandLine) -> None:
    from dockeree.state import State

    dockeree.configure()
    State.open(dockeree.folder, "demo").record_cluster(
        cluster_id="0a1b2c3d", region="eu-west-1", account="123456789012", created_at=""
    )
    dockeree.provide("up", up=raising(AssertionError("must not run")))
    outcome = dockeree("up")
    assert outcome.code == 2
    assert "demo stands in eu-west-1" in outcome.stderr


def test_the_context_that_workflows_get(dockeree: CommandLine) -> None:
    seen: list[Any] = []

    def up(cluster: Any) -> None:
        seen.append(cluster)
        assert cluster.state.lock_path.exists()
        raise Interrupted

    path = dockeree.configure(MINIMAL.replace("region: us-east-1\n", ""))
    dockeree.provide("up", up=up)
    dockeree("up", "--region", "eu-west-1", "-c", str(path))
    (cluster,) = seen
    assert (cluster.name, cluster.aws.region) == ("demo", "eu-west-1")
    assert cluster.state.path == path.parent / ".dockeree" / "demo" / "state.yaml"
    assert not cluster.state.folder.exists(), "nothing was kept, so nothing is left"


def test_verbose_shows_the_log(dockeree: CommandLine) -> None:
    def up(cluster: Any) -> None:
        cluster.report.log("aws ec2 DescribeVpcs")
        raise Interrupted

    dockeree.configure()
    dockeree.provide("up", up=up)
    assert "aws ec2 DescribeVpcs" not in dockeree("up").stderr
    assert "aws ec2 DescribeVpcs" in dockeree("up", "-v").stderr


def test_a_stream_that_knows_ascii_alone_is_no_error(dockeree: CommandLine) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dockeree", "up"],
        cwd=dockeree.folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.decode("ascii").startswith("x config.yaml: there is no such file")


def test_python_m_and_the_launcher_are_dockeree() -> None:
    for command in (["-m", "dockeree", "--version"], ["cli.py", "--version"]):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("dockeree ")


def test_schema_prints_json(dockeree: CommandLine) -> None:
    import json

    assert json.loads(dockeree("schema").stdout)["required"] == ["name", "admin_cidrs"]
