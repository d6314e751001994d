"""Jinja2: the templates that a site puts in the place of our main files."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from types import FrameType
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError
from jinja2 import Template as Compiled
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lxml import etree

from provisioning.formats import one_line
from provisioning.model import Device, ProvisioningError, Service, Template

_WHERE = "<template>"  # the name that Jinja2 gives a template that comes from no file
COMPILED = 32  # templates that are kept so: a site has one for a maker or a model, if any
MOST_STEPS = 500_000  # hundreds of times what a phone with all its keys needs


def render(
    template: Template, is_xml: bool, settings: list[tuple[str, str]], device: Device, service: Service
) -> bytes:
    """A site's template, in a sandbox: it sees `settings`, `device`, `service` and `version`, and no more.

    Raises ProvisioningError, in one line, for one that does not render or is not well-formed.
    """
    lines = [(name, one_line(value)) for name, value in settings]
    try:
        made = _compiled(template.source, is_xml)
        with _bounded():
            text = made.render(settings=lines, device=device, service=service, version=service.version)
        content = text.encode()
        if is_xml:
            etree.fromstring(content)
    except Exception as error:  # a template may divide by zero, or do what else raises
        where = f"template {template.scope}{_line(error)}"
        raise ProvisioningError(f"{device.shown}: {where}: {one_line(str(error))}") from None
    return content


@contextmanager
def _bounded() -> Iterator[None]:
    """Raises ProvisioningError where a template does not come to its end: loops in loops have no other bound.

    What is counted are lines of the template as Jinja2 has compiled it, and calls; so it is the same on each
    machine.
    """
    steps, before = itertools.count(1), sys.gettrace()

    def count(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if next(steps) > MOST_STEPS:
            raise ProvisioningError(f"it takes more than {MOST_STEPS} steps")
        return count if frame.f_code.co_filename == _WHERE else None

    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)


def _line(error: Exception) -> str:
    """The line of the template where an error is, in words."""
    if isinstance(error, TemplateSyntaxError):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == _WHERE), None)
    return f", line {line}" if line else ""


@lru_cache(COMPILED)
def _compiled(source: str, is_xml: bool) -> Compiled:
    return _sandbox(is_xml).from_string(source)


@cache
def _sandbox(is_xml: bool) -> Environment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, autoescape=is_xml)
    made.filters["one_line"] = one_line
    return made
