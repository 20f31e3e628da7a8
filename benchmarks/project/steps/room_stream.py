config = {
    "name": "room",
    "schema": {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "pad": {"type": "string"}},
        "required": ["n", "pad"],
    },
    "baseConfig": {"storageType": "default"},
}
