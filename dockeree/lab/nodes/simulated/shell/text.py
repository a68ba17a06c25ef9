"""Commands on text."""

from __future__ import annotations

import re

from dockeree.lab.nodes.simulated.answer import Answer, said
from dockeree.lab.nodes.simulated.shell.files import read_all
from dockeree.lab.nodes.simulated.shell.registry import Call, command


@command("echo")
def _echo(call: Call) -> Answer:
    words = list(call.words)
    end = "\n"
    while words and words[0] in ("-n", "-e"):
        end = "" if words.pop(0) == "-n" else end
    return said(" ".join(words) + end)


@command("printf")
def _printf(call: Call) -> Answer:
    if not call.words:
        return call.failed("usage: printf [-v var] format [arguments]", 2)
    layout = call.words[0].replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0")
    arguments = list(call.words[1:])

    def once() -> str:
        return re.sub(r"%[sd%]", lambda m: "%" if m[0] == "%%" else (arguments.pop(0) if arguments else ""), layout)

    text = once()
    while arguments and re.search(r"%[sd]", layout):
        text += once()
    return said(text)


@command("grep")
def _grep(call: Call) -> Answer:
    words, flags = list(call.words), ""
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        if not set(word[1:]) <= set("qivcEFxo"):
            return call.unknown(word, 2)
        flags += word[1:]
    if not words:
        return call.failed("usage: grep [OPTION]... PATTERNS [FILE]...", 2)
    pattern = re.escape(words[0]) if "F" in flags else words[0]
    matcher = re.compile(f"^(?:{pattern})$" if "x" in flags else pattern, re.IGNORECASE if "i" in flags else 0)
    content, stderr = read_all(call, words[1:])
    lines = content.decode(errors="replace").splitlines()
    found = [line for line in lines if (matcher.search(line) is None) == ("v" in flags)]
    text = f"{len(found)}\n" if "c" in flags else "".join(f"{line}\n" for line in found)
    if "o" in flags:
        text = "".join(f"{match[0]}\n" for line in found for match in matcher.finditer(line))
    return Answer(2 if stderr else 0 if found else 1, b"" if "q" in flags else text.encode(), stderr)


@command("wc")
def _wc(call: Call) -> Answer:
    names = [word for word in call.words if not word.startswith("-")]
    content, stderr = read_all(call, names)
    counts = {"-l": content.count(b"\n"), "-c": len(content), "-w": len(content.split())}
    wanted = [word for word in call.words if word in counts] or list(counts)
    return Answer(1 if stderr else 0, (" ".join(str(counts[word]) for word in wanted) + "\n").encode(), stderr)


@command("sort", "uniq")
def _sort(call: Call) -> Answer:
    content, stderr = read_all(call, [word for word in call.words if not word.startswith("-")])
    lines = content.decode(errors="replace").splitlines()
    if call.name == "sort":
        lines.sort()
    if call.name == "uniq" or "-u" in call.words:
        lines = [line for position, line in enumerate(lines) if position == 0 or line != lines[position - 1]]
    return Answer(1 if stderr else 0, "".join(f"{line}\n" for line in lines).encode(), stderr)
