config = {"name": "chat", "schema": {"type": "object"}, "baseConfig": {"storageType": "default"}}
