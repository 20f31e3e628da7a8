"""Idle subscribers: what one costs in memory."""
