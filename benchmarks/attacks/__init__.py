"""What a well-behaved client sees while others attack the server."""
