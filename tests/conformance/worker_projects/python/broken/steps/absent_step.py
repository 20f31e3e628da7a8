import surely_not_installed

config = {"type": "api", "name": "Absent", "path": "/absent", "method": "GET", "emits": []}
handler = surely_not_installed.handler
