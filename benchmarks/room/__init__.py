"""A busy room: many durable writes at once, each delivered to every subscriber."""
