config = {"name": "closed", "schema": {"type": "object"}}


async def can_access(subscription, auth_context):
    if subscription["groupId"] == "boom":
        raise RuntimeError("no")
    if subscription["groupId"] == "truthy":
        return 1
    return subscription["groupId"] == auth_context["user"] and subscription["id"] != "private"
