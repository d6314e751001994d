"""What is said of wrong usage: one line, with the help of the command that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def told(error: Any, root: Any, words: Sequence[str]) -> str:
    """What is told of an error of click's or typer's own classes; `root` is the command of `words`.

    "" where the help has been printed already.
    """
    said: str = error.format_message()
    if not said:
        return ""
    path = list(_path(root, words))
    if error.ctx is not None:  # an option that is wrong in itself comes without
        path = path[: _depth(error.ctx) + 1]
    _, command = path[-1]
    option = getattr(error, "option_name", "")
    typed = " ".join(["blfd", *(name for name, _ in path[1:])])
    if found := _option(command, option):
        said = said if _is_flag(found) else f"{option} needs a value behind it: {found.help}"
    elif _option(root, option):
        said = f"{option} stands before the command: blfd {option} ...{typed.removeprefix('blfd')}"
    stop = "" if said.endswith((".", "?")) else "."
    return f"{said}{stop} See '{typed} --help'."


def doubled(root: Any, words: Sequence[str]) -> str:
    """What is told of an option that has one value and is given twice, of which the last would count.

    "" where there is none. What else may be wrong is told by who reads the words.
    """
    command, seen, given = root, set[str](), iter(words)
    for word in given:
        if word == "--":
            break
        name, equals, _ = word.partition("=")
        if not word.startswith("-"):
            if not hasattr(command, "get_command"):
                continue
            command, seen = command.get_command(None, word), set()
            if command is None:
                break
        elif (option := _option(command, name)) and not _is_flag(option):
            if not equals:
                next(given, None)
            if option.name in seen and not option.multiple:
                return f"{name} is given twice: which of the two is meant?"
            seen.add(option.name)
    return ""


def _option(command: Any, name: str) -> Any:
    return next((each for each in command.params if name in each.opts), None)


def _depth(context: Any) -> int:
    return 0 if context.parent is None else 1 + _depth(context.parent)


def _path(command: Any, words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The commands that words name, each with its name: groups, and what is in them."""
    yield "", command
    given = iter(words)
    for word in given:
        if word.startswith("-"):
            if (option := _option(command, word)) and not _is_flag(option):
                next(given, None)
        else:
            command = command.get_command(None, word) if hasattr(command, "get_command") else None
            if command is None:
                return
            yield word, command


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))
