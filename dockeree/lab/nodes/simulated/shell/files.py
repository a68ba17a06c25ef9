"""Commands on files."""

from __future__ import annotations

import posixpath
import re

from dockeree.lab.nodes.simulated.answer import Answer, refused, said
from dockeree.lab.nodes.simulated.filesystem import FileError
from dockeree.lab.nodes.simulated.shell.registry import Call, command


def read_all(call: Call, names: list[str]) -> tuple[bytes, bytes]:
    """The contents of files (standard input without any, or for `-`), and what went wrong."""
    content, stderr = b"", b""
    for name in names or ["-"]:
        if name == "-":
            content += call.read_stdin()
            continue
        try:
            content += call.machine.filesystem.read(call.session.path(name), call.session.user)
        except FileError as error:
            stderr += f"{call.name}: {name}: {error}\n".encode()
    return content, stderr


@command("cat")
def _cat(call: Call) -> Answer:
    content, stderr = read_all(call, list(call.words))
    return Answer(1 if stderr else 0, content, stderr)


@command("head", "tail")
def _head(call: Call) -> Answer:
    words, count = list(call.words), 10
    names = []
    while words:
        word = words.pop(0)
        if word in ("-n", "--lines"):
            word = f"--lines={words.pop(0) if words else ''}"
        match = re.fullmatch(r"(?:--lines=|-n?)(\d+)", word)
        if match:
            count = int(match[1])
        elif word.startswith("-") and word not in ("-", "-q"):
            return call.unknown(word)
        else:
            names.append(word)
    content, stderr = read_all(call, names)
    lines = content.splitlines(keepends=True)
    shown = lines[:count] if call.name == "head" else lines[len(lines) - min(count, len(lines)) :]
    return Answer(1 if stderr else 0, b"".join(shown), stderr)


@command("tee")
def _tee(call: Call) -> Answer:
    append = any(word in ("-a", "--append") for word in call.words)
    content, stderr = call.read_stdin(), ""
    for name in [word for word in call.words if not word.startswith("-")]:
        if name == "/dev/null":
            continue
        try:
            call.machine.filesystem.write(call.session.path(name), content, user=call.session.user, append=append)
        except FileError as error:
            stderr += f"tee: {name}: {error}\n"
    return Answer(1 if stderr else 0, content, stderr.encode())


@command("mkdir")
def _mkdir(call: Call) -> Answer:
    words, parents, mode = list(call.words), False, 0o755
    names = []
    while words:
        word = words.pop(0)
        if word in ("-m", "--mode"):
            mode = int(words.pop(0), 8)
        elif word.startswith("--mode="):
            mode = int(word.partition("=")[2], 8)
        elif word in ("-p", "--parents"):
            parents = True
        elif word.startswith("-"):
            return call.unknown(word)
        else:
            names.append(word)
    for name in names:
        try:
            call.machine.filesystem.make_folders(
                call.session.path(name), user=call.session.user, mode=mode, parents=parents
            )
        except FileError as error:
            return call.failed(f"cannot create directory ‘{name}’: {error}")
    return Answer()


@command("install")
def _install(call: Call) -> Answer:
    words, mode, owner, group, is_folder = list(call.words), 0o755, "", "", False
    names = []
    while words:
        word = words.pop(0)
        if word in ("-m", "-o", "-g") and words:
            value = words.pop(0)
            mode = int(value, 8) if word == "-m" else mode
            owner, group = (value if word == "-o" else owner), (value if word == "-g" else group)
        elif match := re.fullmatch(r"(?:-m|--mode=)(\d+)", word):
            mode = int(match[1], 8)
        elif match := re.fullmatch(r"--(owner|group)=(\w+)", word):
            owner, group = (match[2], group) if match[1] == "owner" else (owner, match[2])
        elif word in ("-d", "--directory"):
            is_folder = True
        elif word.startswith("-") and word not in ("-D",):
            return call.unknown(word)
        else:
            names.append(word)
    try:
        _install_files(call, names, mode, owner, group, is_folder=is_folder)
    except FileError as error:
        return call.failed(f"cannot create '{names[-1] if names else ''}': {error}")
    return Answer()


def _install_files(call: Call, names: list[str], mode: int, owner: str, group: str, *, is_folder: bool) -> None:
    files, user = call.machine.filesystem, call.session.user
    if is_folder:
        for name in names:
            files.make_folders(call.session.path(name), user=user)
            files.change(call.session.path(name), user=user, mode=mode, owner=owner, group=group)
        return
    if len(names) != 2:
        raise FileError("missing destination file operand")
    source, target = names[0], call.session.path(names[1])
    content = call.read_stdin() if source in ("/dev/stdin", "-") else files.read(call.session.path(source), user)
    files.write(target, content, user=user, mode=mode)
    files.change(target, user=user, mode=mode, owner=owner, group=group)


@command("chmod")
def _chmod(call: Call) -> Answer:
    words = [word for word in call.words if word not in ("-R", "--")]
    if len(words) < 2:
        return call.failed("missing operand")
    for name in words[1:]:
        path = call.session.path(name)
        entry = call.machine.filesystem.get(path)
        mode = _mode(words[0], entry.mode if entry else 0)
        if mode is None:
            return call.failed(f"invalid mode: ‘{words[0]}’")
        try:
            call.machine.filesystem.change(path, user=call.session.user, mode=mode)
        except FileError as error:
            return call.failed(f"cannot access '{name}': {error}")
    return Answer()


def _mode(text: str, before: int) -> int | None:
    if re.fullmatch(r"[0-7]{3,4}", text):
        return int(text, 8)
    match = re.fullmatch(r"([ugoa]*)([+-])([rwx]+)", text)
    if match is None:
        return None
    bits = sum({"r": 4, "w": 2, "x": 1}[letter] for letter in match[3])
    who = match[1] or "a"
    mask = sum(bits << shift for letter, shift in (("u", 6), ("g", 3), ("o", 0)) if letter in who or "a" in who)
    return before | mask if match[2] == "+" else before & ~mask


@command("chown")
def _chown(call: Call) -> Answer:
    words = [word for word in call.words if word != "-R"]
    owner, _, group = (words[0] if words else "").partition(":")
    for name in words[1:]:
        try:
            call.machine.filesystem.change(call.session.path(name), user=call.session.user, owner=owner, group=group)
        except FileError as error:
            return call.failed(f"cannot access '{name}': {error}")
    return Answer()


@command("rm")
def _rm(call: Call) -> Answer:
    flags = "".join(word[1:] for word in call.words if word.startswith("-"))
    for name in [word for word in call.words if not word.startswith("-")]:
        try:
            call.machine.filesystem.remove(call.session.path(name), user=call.session.user, recursive="r" in flags)
        except FileError as error:
            if "f" not in flags or str(error) != "No such file or directory":
                return call.failed(f"cannot remove '{name}': {error}")
    return Answer()


@command("cp", "mv")
def _copy(call: Call) -> Answer:
    names = [word for word in call.words if not word.startswith("-")]
    if len(names) != 2:
        return call.failed("missing file operand")
    files, user = call.machine.filesystem, call.session.user
    try:
        source, target = call.session.path(names[0]), call.session.path(names[1])
        entry = files.get(target)
        if entry is not None and entry.is_folder:
            target = posixpath.join(target, posixpath.basename(source))
        content = files.read(source, user)
        origin = files.get(source)
        files.write(target, content, user=user, mode=origin.mode if origin else None)
        if call.name == "mv":
            files.remove(source, user=user)
    except FileError as error:
        return call.failed(f"cannot stat '{names[0]}': {error}")
    return Answer()


@command("touch")
def _touch(call: Call) -> Answer:
    for name in [word for word in call.words if not word.startswith("-")]:
        try:
            call.machine.filesystem.write(call.session.path(name), b"", user=call.session.user, append=True)
        except FileError as error:
            return call.failed(f"cannot touch '{name}': {error}")
    return Answer()


@command("ls")
def _ls(call: Call) -> Answer:
    stdout, stderr = "", ""
    for name in [word for word in call.words if not word.startswith("-")] or [call.session.folder]:
        path = call.session.path(name)
        entry = call.machine.filesystem.get(path)
        if entry is None:
            stderr += f"ls: cannot access '{name}': No such file or directory\n"
        else:
            names = call.machine.filesystem.children(path) if entry.is_folder else [name]
            stdout += "".join(f"{child}\n" for child in names)
    return Answer(2 if stderr else 0, stdout.encode(), stderr.encode())


@command("stat")
def _stat(call: Call) -> Answer:
    words = list(call.words)
    layout = ""
    if words[:1] in (["-c"], ["--format"]) and len(words) > 1:
        layout, words = words[1], words[2:]
    elif words and words[0].startswith("--format="):
        layout = words.pop(0).partition("=")[2]
    if not layout or not words:
        return call.unknown(" ".join(call.words))
    text = ""
    for name in words:
        entry = call.machine.filesystem.get(call.session.path(name))
        if entry is None:
            return call.failed(f"cannot statx '{name}': No such file or directory")
        facts = {
            "%a": f"{entry.mode:o}",
            "%U": entry.owner,
            "%G": entry.group,
            "%n": name,
            "%s": str(len(entry.content or b"")),
            "%F": "directory" if entry.is_folder else "regular file",
        }
        text += re.sub(r"%[aUGnsF]", lambda match, facts=facts: facts[match[0]], layout) + "\n"  # type: ignore[misc]
    return said(text)


@command("test", "[")
def _test(call: Call) -> Answer:
    words = list(call.words)
    if call.name == "[" and (not words or words.pop() != "]"):
        return refused("bash: line 1: [: missing `]'\n", 2)
    is_negated = words[:1] == ["!"]
    words = words[1:] if is_negated else words
    result = _is_true(call, words)
    if result is None:
        return call.unknown(" ".join(words), 2)
    return Answer(0 if result != is_negated else 1)


def _is_true(call: Call, words: list[str]) -> bool | None:
    if len(words) <= 1:
        return bool(words and words[0])
    if len(words) == 3 and words[1] in ("=", "==", "!="):
        return (words[0] == words[2]) == (words[1] != "!=")
    if len(words) == 2 and words[0] in ("-z", "-n"):
        return bool(words[1]) == (words[0] == "-n")
    if len(words) == 2 and words[0] in ("-e", "-f", "-d", "-s", "-r", "-x", "-w"):
        entry = call.machine.filesystem.get(call.session.path(words[1]))
        if entry is None:
            return False
        tests = {"-f": not entry.is_folder, "-d": entry.is_folder, "-s": bool(entry.content)}
        return tests.get(words[0], words[0] != "-x" or bool(entry.mode & 0o111))
    return None
