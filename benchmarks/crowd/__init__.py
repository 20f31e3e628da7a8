"""A large room: what its flushes make others wait."""
