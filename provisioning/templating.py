"""Jinja2: the templates that a site puts in the place of our main files."""

from __future__ import annotations

import traceback
from functools import cache

from jinja2 import Environment, StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lxml import etree

from provisioning.formats import one_line
from provisioning.model import Device, ProvisioningError, Service, Template

_WHERE = "<template>"  # the name that Jinja2 gives a template that comes from no file


def render(
    template: Template, is_xml: bool, settings: list[tuple[str, str]], device: Device, service: Service
) -> bytes:
    """A site's template, in a sandbox: it sees `settings`, `device`, `service` and `version`, and no more.

    Raises ProvisioningError, in one line, for one that does not render or is not well-formed.
    """
    lines = [(name, one_line(value)) for name, value in settings]
    try:
        made = _sandbox(is_xml).from_string(template.source)
        text = made.render(settings=lines, device=device, service=service, version=service.version).encode()
        if is_xml:
            etree.fromstring(text)
    except Exception as error:  # a template may divide by zero, or do what else raises
        where = f"template {template.scope}{_line(error)}"
        raise ProvisioningError(f"{device.shown}: {where}: {one_line(str(error))}") from None
    return text


def _line(error: Exception) -> str:
    """The line of the template where an error is, in words."""
    if isinstance(error, TemplateSyntaxError):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == _WHERE), None)
    return f", line {line}" if line else ""


@cache
def _sandbox(is_xml: bool) -> Environment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, autoescape=is_xml)
    made.filters["one_line"] = one_line
    return made
