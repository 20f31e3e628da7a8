"""The whole path: POST, handler in a worker, durable set, frame at a subscriber."""
