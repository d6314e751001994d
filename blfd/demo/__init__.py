"""A server and simulated phones as child processes, for the demo and the end-to-end tests."""
