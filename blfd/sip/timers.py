"""The times of RFC 3261, section 17 (table 4 of its appendix A), in seconds."""

from __future__ import annotations

T1, T2 = 0.5, 4.0
LIFETIME = 64 * T1  # timers B, F, H, J, and L of RFC 6026
