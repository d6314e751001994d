"""Fixtures of networks on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sockets import Site


@pytest.fixture
def make() -> Iterator[Callable[..., Site]]:
    """A function that makes a network; all are closed at the end."""
    made: list[Site] = []

    def make(*listen: str, **options: float) -> Site:
        made.append(Site(*listen, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    return make()
