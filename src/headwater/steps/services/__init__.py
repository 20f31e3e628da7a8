"""What user code may call from a worker: one file per service, each a table of its methods.

A new service is one file here, its line in `app.py`, and its members in `protocol/workers/frames.py`.
"""
