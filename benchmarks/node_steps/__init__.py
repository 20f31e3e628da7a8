"""The same round trip through a TypeScript step and a Python step of one server."""
