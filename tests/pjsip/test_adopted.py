"""What is stored of a session for the next process, without PJSIP."""

from __future__ import annotations

import pytest

from blfd.pjsip.adopted import AT_LEAST, RESERVED, reserved


@pytest.mark.parametrize("cseq", [0, 1, RESERVED - AT_LEAST - 1, RESERVED - AT_LEAST, RESERVED - 1, RESERVED])
def test_numbers_of_requests_are_reserved_before_they_are_used(cseq: int) -> None:
    """As many numbers are reserved as may be used while the next ones are being written."""
    assert cseq + AT_LEAST < reserved(cseq) <= cseq + AT_LEAST + RESERVED
