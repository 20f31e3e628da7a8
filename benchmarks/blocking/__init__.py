"""What a process for a step that blocks costs: its start and its memory."""
