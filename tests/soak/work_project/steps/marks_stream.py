config = {"name": "marks", "schema": None}
