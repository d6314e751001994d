"""The decisions: pure functions of what happened and the time. No socket, clock, thread or database."""
