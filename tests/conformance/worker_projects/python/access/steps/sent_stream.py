config = {"name": "sent"}


def can_send(event, auth):
    return event == {"groupId": "g", "id": None, "event": {"type": "seen", "data": auth}}
