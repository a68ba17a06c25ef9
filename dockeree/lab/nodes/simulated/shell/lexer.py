"""A command line as a POSIX shell reads it: words with quotes and variables, and the operators between them.

shlex cannot tell a quoted `&&` from an operator, so this reads for itself. What a real shell would do and this one
does not (substitution, loops, functions, background jobs, patterns) raises UnsupportedSyntax: nothing is run half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

OPERATORS = ("&&", "||", "2>&1", "1>&2", ">&2", "2>>", "&>", "2>", ">>", ">", "<", "|", ";", "\n")
KEYWORDS = {"if", "for", "while", "until", "case", "function", "{", "select", "[["}
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|([?#@*]))")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class UnsupportedSyntax(Exception):
    """Syntax of a real shell that the model does not know, or a line that no shell could read."""


@dataclass
class SimpleCommand:
    """One command: assignments before it, its words, and its redirections as (operator, file name)."""

    words: list[str] = field(default_factory=list)
    assignments: dict[str, str] = field(default_factory=dict)
    redirections: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Step:
    """A pipeline, and what stands before it: `&&`, `||` or `;`."""

    operator: str
    pipeline: list[list[tuple[str, bool]]]
    """Commands as raw tokens (text, is operator): variables are expanded when each runs."""


def split(line: str) -> list[Step]:
    """The steps of a command line. Raises UnsupportedSyntax."""
    steps: list[Step] = [Step(";", [[]])]
    for token, is_operator in _tokens(line):
        if is_operator and token in ("&&", "||", ";", "\n"):
            steps.append(Step(";" if token == "\n" else token, [[]]))
        elif is_operator and token == "|":
            steps[-1].pipeline.append([])
        else:
            steps[-1].pipeline[-1].append((token, is_operator))
    for step in steps[:]:
        if any(not command for command in step.pipeline):
            if len(step.pipeline) > 1 or step.operator != ";":
                raise UnsupportedSyntax("unexpected end of command")
            steps.remove(step)
        elif step.pipeline[0][0][0] in KEYWORDS:
            raise UnsupportedSyntax(f"`{step.pipeline[0][0][0]}' is beyond this shell")
    return steps


def expand(tokens: list[tuple[str, bool]], variables: Mapping[str, str]) -> SimpleCommand:
    """A command with its quotes removed and its variables replaced. Raises UnsupportedSyntax."""
    command = SimpleCommand()
    position = 0
    while position < len(tokens):
        token, is_operator = tokens[position]
        position += 1
        if is_operator and token in ("2>&1", ">&2", "1>&2"):
            command.redirections.append((token, ""))
        elif is_operator:
            if position >= len(tokens) or tokens[position][1]:
                raise UnsupportedSyntax("a redirection names no file")
            command.redirections.append((token, "".join(_unquote(tokens[position][0], variables))))
            position += 1
        else:
            assignment = ASSIGNMENT.fullmatch(token) if not command.words else None
            if assignment:
                command.assignments[assignment[1]] = " ".join(_unquote(assignment[2], variables))
            else:
                command.words += _unquote(token, variables)
    return command


def _tokens(line: str) -> list[tuple[str, bool]]:
    tokens: list[tuple[str, bool]] = []
    word, position = "", 0
    line = line.replace("\\\n", "")

    def end_word() -> None:
        nonlocal word
        if word:
            tokens.append((word, False))
        word = ""

    while position < len(line):
        character = line[position]
        if character in "'\"":
            end = _closing_quote(line, position)
            word += line[position : end + 1]
            position = end + 1
        elif character == "\\":
            word += line[position : position + 2]
            position += 2
        elif character in "`()" or line.startswith(("$(", "<<"), position):
            raise UnsupportedSyntax(f"`{line[position : position + 2]}' is beyond this shell")
        elif operator := next((o for o in OPERATORS if line.startswith(o, position)), ""):
            if operator[0] in "12" and word:
                operator, position = "", position + 1
                word += character
                continue
            end_word()
            tokens.append((operator, True))
            position += len(operator)
        elif character == "&":
            raise UnsupportedSyntax("background jobs are beyond this shell")
        elif character.isspace():
            end_word()
            position += 1
        elif character == "#" and not word:
            position = (line + "\n").index("\n", position)
        else:
            word += character
            position += 1
    end_word()
    return tokens


def _closing_quote(line: str, start: int) -> int:
    position = start + 1
    while position < len(line):
        if line[start] == '"' and line[position] == "\\":
            position += 2
            continue
        if line[start] == '"' and (line[position] == "`" or line.startswith("$(", position)):
            raise UnsupportedSyntax("command substitution is beyond this shell")
        if line[position] == line[start]:
            return position
        position += 1
    raise UnsupportedSyntax(f"unexpected EOF while looking for matching `{line[start]}'")


def _unquote(token: str, variables: Mapping[str, str]) -> list[str]:
    """The words that a token becomes: an unquoted variable is split at blanks, an empty one vanishes."""
    words: list[str] = []
    word, is_quoted, position = "", False, 0
    while position < len(token):
        character = token[position]
        if character == "'":
            end = token.index("'", position + 1)
            word, is_quoted, position = word + token[position + 1 : end], True, end + 1
        elif character == '"':
            end = _closing_quote(token, position)
            word += _double_quoted(token[position + 1 : end], variables)
            is_quoted, position = True, end + 1
        elif character == "\\":
            word, position = word + token[position + 1 : position + 2], position + 2
        elif match := VARIABLE.match(token, position):
            parts = _value(match, variables).split()
            if parts:
                words += [word + parts[0], *parts[1:]][:-1] if len(parts) > 1 else []
                word = parts[-1] if len(parts) > 1 else word + parts[0]
            position = match.end()
        else:
            word, position = word + character, position + 1
    return [*words, word] if word or is_quoted else words


def _double_quoted(text: str, variables: Mapping[str, str]) -> str:
    text = VARIABLE.sub(lambda match: match[0] if _is_escaped(text, match.start()) else _value(match, variables), text)
    return re.sub(r'\\(["\\$`])', r"\1", text)


def _is_escaped(text: str, position: int) -> bool:
    return position > 0 and text[position - 1] == "\\"


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    return variables.get(match[1] or match[2] or match[3], "")
