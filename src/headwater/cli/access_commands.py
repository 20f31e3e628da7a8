"""The words and flags of the commands about who is here: `headwater connections` and `headwater revoke`. They
speak to the running server of a project by its control socket.

Owns nothing that takes long to import, as `commands.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headwater.cli.work_commands import Debug, Json, Project, ask_server, tell_done
from headwater.errors import InvalidInput

User = Annotated[
    str | None,
    typer.Option(metavar="USER", help='Who that is: the "user" of the context, or else its "sub".'),
]


def connections(user: User = None, project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Print who is connected, and by which number to revoke it."""
    found = list(ask_server(project, "access.connections", user=user))
    if json:
        from headwater.cli.terminal import print_json

        print_json(found)
        return
    from headwater.cli.work_report import show_connections

    show_connections(found)


def revoke(
    user: User = None,
    connection: Annotated[
        int | None, typer.Option(metavar="N", help="Its number, from `headwater connections`.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the revocation of --user back.")] = False,
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Refuse what a user, or a connection, came in with.

    With --user, all tokens of the user that were issued until now; its connections end. With --connection,
    the token of that one; it ends. Neither lasts longer than [auth] revocation_age.
    """
    if (user is None) == (connection is None):
        raise InvalidInput("Name a user or a connection.", hint="--user USER, or --connection N.")
    if undo:
        if user is None:
            raise InvalidInput("--undo goes with --user.")
        (done,) = ask_server(project, "access.restore", user=user)
        words = "is judged as before" if done["restored"] else "was not revoked"
        tell_done(done, f'"{user}" {words}.', json=json)
        return
    (done,) = ask_server(project, "access.revoke", user=user, connection=connection)
    tell_done(done, *_lines(done, user), json=json)


def _lines(done: dict[str, Any], user: str | None) -> list[str]:
    if user is not None:
        ended = done["ended"]
        return [
            f'Tokens of "{user}" that were issued until now are refused; '
            f"{ended} connection{'' if ended == 1 else 's'} ended.",
            "One that does not say when it was issued (iat) is refused too, until --undo.",
        ]
    if done["token"]:
        return ["The connection has ended, and its token is refused."]
    return ["The connection has ended. It brought no token, so it may come again."]
