"""Ten changes a turn, protocol v1."""
