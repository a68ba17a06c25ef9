"""Runs a command line on a simulated node: lists, pipes and redirections over the registered commands.

A command that nothing here knows ends with 127, as in a real shell, and is noted in the lab's log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dockeree.lab.nodes.simulated.answer import Answer, refused
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.machine import Machine, Say
from dockeree.lab.nodes.simulated.shell.lexer import SimpleCommand, Step, UnsupportedSyntax, expand, split
from dockeree.lab.nodes.simulated.shell.registry import COMMANDS, Call, ReadStdin, Session, no_stdin

FOLDERS = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/")


def login(machine: Machine, user: str) -> Session:
    """A session as sshd or systemd opens it."""
    home = "/root" if user == "root" else f"/home/{user}"
    folders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Session(machine, user, home, {"HOME": home, "USER": user, "LOGNAME": user, "PATH": folders, "?": "0"})


def run_as(machine: Machine, user: str, line: str, read_stdin: ReadStdin = no_stdin, say: Say | None = None) -> Answer:
    """Run a command line in a session of its own, faults applied."""
    machine.site.commands.append((machine.id, user, f"bash -c {line}"))
    fault = machine.site.faults.take(machine.id, "command", "hang", "disconnect", command=line)
    if fault is not None and fault.kind == "command":
        return Answer(fault.exit_status, fault.stdout.encode(), fault.stderr.encode())
    if fault is not None and fault.kind == "disconnect":
        return Answer(is_dropped=True)
    if fault is not None and not _outlasts(machine, fault.seconds):
        return Answer(is_dropped=True)
    return run_line(replace(login(machine, user), say=say), line, read_stdin)


def _outlasts(machine: Machine, seconds: float) -> bool:
    """Hang for `seconds` (0 for ever); False when the machine lost its power meanwhile."""
    if not seconds:
        machine.halted.wait()
        return False
    return machine.pause(seconds)


def run_program(machine: Machine, line: str, say: Say) -> Answer:
    """Run a unit's command line as root; what it prints at its end is said too."""
    answer = run_as(machine, "root", line, say=say)
    for text in (answer.stdout + answer.stderr).decode(errors="replace").splitlines():
        say(text)
    return answer


def run_line(session: Session, line: str, read_stdin: ReadStdin = no_stdin) -> Answer:
    """Run a command line in `session`."""
    try:
        steps = split(line)
    except UnsupportedSyntax as error:
        session.machine.site.note_unknown(session.machine, line)
        return refused(f"bash: -c: line 1: {error}\n", 2)
    stdout, stderr, status = b"", b"", 0
    for position, step in enumerate(steps):
        if (step.operator == "&&" and status) or (step.operator == "||" and not status):
            continue
        answer = _run_pipeline(session, step, read_stdin)
        stdout, stderr, status = stdout + answer.stdout, stderr + answer.stderr, answer.exit_status
        session.variables["?"] = str(status)
        if answer.is_dropped:
            return answer
        is_tested = position + 1 < len(steps) and steps[position + 1].operator in ("&&", "||")
        if session.variables.get("exit") or (status and session.variables.get("errexit") and not is_tested):
            break
    return Answer(status, stdout, stderr)


def _run_pipeline(session: Session, step: Step, read_stdin: ReadStdin) -> Answer:
    stderr, answer = b"", Answer()
    for position, tokens in enumerate(step.pipeline):
        try:
            command = expand(tokens, session.variables)
        except UnsupportedSyntax as error:
            session.machine.site.note_unknown(session.machine, str(error))
            return refused(f"bash: -c: line 1: {error}\n", 2)
        source = read_stdin if position == 0 else _constant(answer.stdout)
        answer = _run_redirected(session, command, source)
        stderr += answer.stderr
        if answer.is_dropped:
            return answer
    return replace(answer, stderr=stderr)


def _constant(data: bytes) -> ReadStdin:
    return lambda: data


def _run_redirected(session: Session, command: SimpleCommand, read_stdin: ReadStdin) -> Answer:
    files = session.machine.filesystem
    for operator, name in command.redirections:
        if operator == "<":
            try:
                read_stdin = _constant(files.read(session.path(name), session.user))
            except FileError as error:
                return refused(f"bash: line 1: {name}: {error}\n")
    if not command.words:
        session.variables.update(command.assignments)
        return Answer()
    inner = replace(session, variables={**session.variables, **command.assignments}) if command.assignments else session
    answer = run_words(inner, command.words, read_stdin)
    for operator, name in command.redirections:
        if operator == "2>&1":
            answer = replace(answer, stdout=answer.stdout + answer.stderr, stderr=b"")
        elif operator in (">&2", "1>&2"):
            answer = replace(answer, stdout=b"", stderr=answer.stderr + answer.stdout)
        elif operator != "<":
            answer = _to_file(session, answer, operator, name)
    return answer


def _to_file(session: Session, answer: Answer, operator: str, name: str) -> Answer:
    taken = {"2": answer.stderr, "&": answer.stdout + answer.stderr}.get(operator[0], answer.stdout)
    kept = {
        "2": replace(answer, stderr=b""),
        "&": replace(answer, stdout=b"", stderr=b""),
    }.get(operator[0], replace(answer, stdout=b""))
    if name == "/dev/null":
        return kept
    try:
        session.machine.filesystem.write(session.path(name), taken, user=session.user, append=operator.endswith(">>"))
    except FileError as error:
        return refused(f"bash: line 1: {name}: {error}\n")
    return kept


def run_words(session: Session, words: Sequence[str], read_stdin: ReadStdin = no_stdin) -> Answer:
    """Run one command by its words."""
    machine = session.machine
    machine.site.commands.append((machine.id, session.user, " ".join(words)))
    name = words[0]
    program = machine.site.programs.get(session.path(name)) if "/" in name else None
    for folder in FOLDERS:
        name = name.removeprefix(folder)
    handler = program or COMMANDS.get(name)
    if handler is None or (name == "docker" and not machine.engine.is_installed):
        if handler is None:
            machine.site.note_unknown(machine, " ".join(words))
        if "/" in name:
            return refused(f"bash: line 1: {words[0]}: No such file or directory\n", 127)
        return refused(f"bash: line 1: {words[0]}: command not found\n", 127)
    if program is not None and not machine.filesystem.exists(session.path(words[0])):
        return refused(f"bash: line 1: {words[0]}: No such file or directory\n", 127)
    return handler(Call(session, name, words[1:], read_stdin, run_words, run_line))
