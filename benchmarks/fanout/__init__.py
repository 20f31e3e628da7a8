"""Fan-out: what it costs the server to deliver one change to one subscriber."""
