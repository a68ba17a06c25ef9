"""Commands that run other commands, and the shell's own."""

from __future__ import annotations

from dataclasses import replace

from dockeree.lab.nodes.simulated.answer import Answer, refused, said
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.shell.registry import COMMANDS, Call, Session, command


@command("sudo")
def _sudo(call: Call) -> Answer:
    words, user = list(call.words), "root"
    variables: dict[str, str] = {}
    while words and (words[0].startswith("-") or "=" in words[0]):
        word = words.pop(0)
        if word in ("-u", "--user"):
            user = words.pop(0) if words else user
        elif word.startswith("--user="):
            user = word.partition("=")[2]
        elif word in ("-n", "--non-interactive", "-E", "-H", "-S", "-k", "-i", "--"):
            pass
        elif not word.startswith("-"):
            variables[word.partition("=")[0]] = word.partition("=")[2]
        else:
            return call.unknown(word)
    if not words:
        return refused("usage: sudo -h | -K | -k | -V\n")
    home = "/root" if user == "root" else f"/home/{user}"
    inner = Session(
        call.machine,
        user,
        call.session.folder,
        {**call.session.variables, **variables, "HOME": home, "USER": user, "SUDO_USER": call.session.user},
        call.session.say,
    )
    answer = call.run_words(inner, words, call.read_stdin)
    if answer.exit_status == 127 and b"command not found" in answer.stderr:
        return refused(f"sudo: {words[0]}: command not found\n")
    return answer


@command("sh", "bash", "dash")
def _sh(call: Call) -> Answer:
    words = list(call.words)
    options = ""
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        options += word[1:]
        if "c" in word:
            break
    inner = replace(call.session, variables=dict(call.session.variables))
    if "c" in options:
        return (
            call.run_line(inner, words[0], call.read_stdin)
            if words
            else refused("bash: -c: option requires an argument\n", 2)
        )
    if words:
        program = call.machine.site.programs.get(call.session.path(words[0]))
        if program is not None and call.machine.filesystem.exists(call.session.path(words[0])):
            return program(replace(call, name=words[0], words=words[1:]))
        try:
            script = call.machine.filesystem.read(call.session.path(words[0]), call.session.user)
        except FileError as error:
            return refused(f"{call.name}: {words[0]}: {error}\n", 127)
        return call.run_line(inner, script.decode(errors="replace"), call.read_stdin)
    return call.run_line(inner, call.read_stdin().decode(errors="replace"), lambda: b"")


@command("env")
def _env(call: Call) -> Answer:
    words, variables = list(call.words), dict(call.session.variables)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    if not words:
        return said("".join(f"{name}={value}\n" for name, value in variables.items() if name.isidentifier()))
    return call.run_words(replace(call.session, variables=variables), words, call.read_stdin)


@command("timeout", "nohup", "nice", "exec", "setsid", "stdbuf")
def _prefix(call: Call) -> Answer:
    words = list(call.words)
    while words and words[0].startswith("-"):
        words.pop(0)
    if call.name == "timeout" and words:
        words.pop(0)
    return call.run_words(call.session, words, call.read_stdin) if words else Answer()


@command("true", ":")
def _true(_call: Call) -> Answer:
    return Answer()


@command("false")
def _false(_call: Call) -> Answer:
    return Answer(1)


@command("sleep")
def _sleep(call: Call) -> Answer:
    try:
        seconds = float(call.words[0].removesuffix("s"))
    except (IndexError, ValueError):
        return call.failed("missing operand")
    call.machine.pause(seconds)
    return Answer()


@command("cd")
def _cd(call: Call) -> Answer:
    path = call.session.path(call.words[0] if call.words else "~")
    entry = call.machine.filesystem.get(path)
    if entry is None or not entry.is_folder:
        return refused(f"bash: line 1: cd: {path}: No such file or directory\n")
    call.session.folder = path
    return Answer()


@command("export")
def _export(call: Call) -> Answer:
    for word in call.words:
        name, equals, value = word.partition("=")
        if equals:
            call.session.variables[name] = value
    return Answer()


@command("set")
def _set(call: Call) -> Answer:
    if any(word.startswith("-") and "e" in word for word in call.words):
        call.session.variables["errexit"] = "1"
    return Answer()


@command("exit")
def _exit(call: Call) -> Answer:
    call.session.variables["exit"] = "1"
    return Answer(int(call.words[0]) if call.words and call.words[0].isdigit() else int(call.session.variables["?"]))


@command("command", "which", "type")
def _command(call: Call) -> Answer:
    words = [word for word in call.words if not word.startswith("-")]
    if call.name == "command" and "-v" not in call.words:
        return call.run_words(call.session, words, call.read_stdin) if words else Answer()
    found = [word for word in words if word in COMMANDS and (word != "docker" or call.machine.engine.is_installed)]
    return said("".join(f"/usr/bin/{word}\n" for word in found), 0 if len(found) == len(words) else 1)
