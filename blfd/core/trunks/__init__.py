"""Lines to the outside: carriers and other telephone systems."""
