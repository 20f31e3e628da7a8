"""What a request brings besides its body: headers and query, as steps see them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from headwater.errors import RequestInvalid

MOST_PARAMETERS = 1000
"""Parameters of one query, or fields of one form."""

Values = dict[str, str | list[str]]


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; what repeats is joined with ", ", cookies with "; "."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        if key in headers:
            text = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}"
        headers[key] = text
    return headers


def read_query(raw: bytes) -> Values:
    """The parameters of a query: text, or a list where a name repeats. Blank values stay.

    Bytes that are not UTF-8 become U+FFFD. Raises RequestInvalid for more than `MOST_PARAMETERS`.
    """
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise RequestInvalid(f"the query has more than {MOST_PARAMETERS} parameters") from None
    return collect(pairs)


def collect(pairs: Iterable[tuple[str, str]]) -> Values:
    """Pairs by name, in order; the values of a name that repeats become a list."""
    values: Values = {}
    for name, value in pairs:
        before = values.get(name)
        if before is None:
            values[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            values[name] = [before, value]
    return values
