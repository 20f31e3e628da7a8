"""The browser clients: size, reconnect, rendering and memory."""
