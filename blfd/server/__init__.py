"""The running server: one loop, other threads, what control calls are told."""
