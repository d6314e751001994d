"""HTTP beside the server, in a process of its own: no request here can hold up a NOTIFY."""
