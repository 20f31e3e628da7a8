"""The Python client: a store of what was received, without I/O, and transports around it."""
