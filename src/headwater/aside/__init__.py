"""Pure functions over large texts, run in a process beside the server's loop; see `runner.py`."""
