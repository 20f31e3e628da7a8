config = {"name": "ruled", "schema": {"type": "object"}, "canWrite": lambda change, auth: may_write(change, auth)}
can_delete = True
canSend = False


def may_write(change, auth):
    if change["groupId"] == "nothing":
        return None
    if change["groupId"] == "truthy":
        return 1
    return change == {
        "groupId": "g",
        "id": "a",
        "type": "set",
        "old": None,
        "new": {"id": "a", "by": auth["user"]},
    }


async def can_cancel(subscription, auth):
    return subscription == {"groupId": "g", "id": "a"} and auth is None
