"""`python -P -m headwater.worker`: one worker process."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # `-m` puts the working folder first, where a project's own `logging.py` would stand in for Python's.
    if not sys.flags.safe_path:
        del sys.path[0]
    from headwater.worker.process import main

    main()
