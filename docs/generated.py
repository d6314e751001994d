"""`python docs/generated.py` writes the parts of the documentation that come from tables of the code."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer
from pydantic import BaseModel

from blfd.cli import app
from blfd.config import texts
from blfd.config.file import SIP, File, Tls
from blfd.core.calls import passed_on, refusals, transfer
from blfd.core.events import subscription
from blfd.core.trunks import registration
from blfd.core.upstreams import watching
from blfd.pjsip import leg_states
from blfd.sip import server_transactions

DOCUMENTS = [
    Path(__file__).with_name(name)
    for name in ("architecture.md", "calls.md", "configuration.md", "commands.md")
]
_BLOCK = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.S)
States = Mapping[tuple[Enum, Enum], tuple[Enum, Enum]]


def diagram(table: States, nothing: Enum) -> str:
    """Mermaid's words for a table; what changes nothing and asks for nothing is left out."""
    first = next(iter(table))[0]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}"]
    for (state, event), (then, action) in table.items():
        if then is not state or action is not nothing:
            does = "" if action is nothing else f" / {_words(action)}"
            lines.append(f"    {state.name} --> {then.name} : {_words(event)}{does}")
    return "\n".join([*lines, "```", ""])


def _changes(table: States) -> States:
    """The part of a table that leads to another state."""
    return {pair: then for pair, then in table.items() if then[0] is not pair[0]}


def _words(of: Enum) -> str:
    return of.name.lower().replace("_", " ")


MESSAGES = {
    passed_on.In.INVITE: "INVITE",
    passed_on.In.PROGRESS: "18x",
    passed_on.In.ANSWER: "200",
    passed_on.In.REFUSAL: "refusal",
    passed_on.In.CANCEL: "CANCEL",
    passed_on.In.BYE: "BYE",
    passed_on.In.INFO: "INFO",
    passed_on.In.INFO_RESPONSE: "response to INFO",
}


def _messages(among: passed_on.In) -> str:
    if among == passed_on.ANY:
        return "all"
    return ", ".join(name for message, name in MESSAGES.items() if message in among) or "-"


def header_fields() -> str:
    lines = ["| header field | of phones | of trusted sources | |", "|---|---|---|---|"]
    for rule in passed_on.TABLE:
        if rule.phones | rule.edges:
            edges = "same" if rule.edges == rule.phones else _messages(rule.edges)
            lines.append(f"| {rule.name} | {_messages(rule.phones)} | {edges} | {rule.why} |")
    return "\n".join([*lines, ""])


def never() -> str:
    rules = [rule for rule in passed_on.TABLE if not rule.phones | rule.edges]
    return "\n".join(["| never | why |", "|---|---|", *(f"| {r.name} | {r.why} |" for r in rules), ""])


def translated() -> str:
    lines = ["| a phone's status | the caller is told | in words |", "|---|---|---|"]
    lines.append(f"| BYE before any | 480 | 102 {refusals.HUNG_UP} |")
    lines.append("| 3xx | 480 | 102 has forwarded its calls: where to, if that leads nowhere |")
    lines += [f"| {was} | {told} | 102 {words} |" for was, (told, words) in refusals.OF_INVITE.items()]
    return "\n".join([*lines, ""])


def settings(text: Mapping[str, str], defaults: Mapping[str, Any]) -> str:
    lines = ["| key | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {_default(defaults[name])} | {meaning} |" for name, meaning in text.items()]
    return "\n".join([*lines, ""])


def _default(value: Any) -> str:
    if value in (None, [], ""):
        return "none"
    return str(value) if type(value) is int else f"`{json.dumps(value)}`"


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    return {name: field.default for name, field in model.model_fields.items()}


def commands(command: Any, *path: str) -> str:
    """The text of each command, with what its help says."""
    if hasattr(command, "commands"):
        names = command.list_commands(None)
        return "".join(commands(command.get_command(None, name), *path, name) for name in names)
    types = get_type_hints(command.callback)
    shown = [each for each in command.params if each.name in types]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    names = [each.metavar or each.name.upper() for each in arguments]
    found = [f"### `blfd {' '.join([*path, *names])}`", "", inspect.cleandoc(command.help), ""]
    rows = list(zip(names, (each.help for each in arguments), strict=True))
    rows += [(_option(each, types[each.name]), each.help) for each in shown if each not in arguments]
    if rows:
        found += ["| | |", "|---|---|", *(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows), ""]
    return "\n".join([*found, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _option(option: Any, of: Any) -> str:
    """An option, with what it takes."""
    name = " / ".join([*option.opts, *option.secondary_opts])
    kinds = [each for each in (*get_args(of), of) if isinstance(each, type) and each is not NoneType]
    choice = next((each for each in kinds if issubclass(each, Enum)), None)
    if choice:
        return f"{name} {'|'.join(str(each.value) for each in choice)}"
    if option.is_flag or bool in kinds:
        return name
    return f"{name} {option.metavar or ('NUMBER' if int in kinds else 'TEXT')}"


PARTS = {
    "settings": lambda: settings(texts.GENERAL, _defaults(File)),
    "settings of tls": lambda: settings(texts.TLS, _defaults(Tls)),
    "settings of sip": lambda: settings(texts.SIP, SIP),
    "commands": lambda: commands(typer.main.get_command(app)),
    "subscription": lambda: diagram(subscription.TRANSITIONS, subscription.Action.NOTHING),
    "registration": lambda: diagram(registration.TABLE, registration.Action.NOTHING),
    "watching": lambda: diagram(_changes(watching.TABLE), watching.Action.NOTHING),
    "transfer": lambda: diagram(transfer.TRANSITIONS, transfer.Action.NOTHING),
    "server transaction": lambda: diagram(server_transactions.TABLE, server_transactions.Action.NOTHING),
    "leg": lambda: diagram(_changes(leg_states.TABLE), leg_states.Action.NOTHING),
    "header fields": header_fields,
    "never": never,
    "translated": translated,
}


def written(text: str) -> str:
    """The text of a document, with its parts as the tables are now."""
    return _BLOCK.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(written(document.read_text()))
        sys.stdout.write(f"{document} is up to date\n")
