"""The Python client: what a change costs in a small group and in a large one."""
