config = {"name": "broken", "schema": {"type": "object"}}
undefined_name
