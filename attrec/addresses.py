"""Addresses of databases, as SQLAlchemy has them: which of their secrets are written out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SECRET_OPTION = r"\w*(?:pass(?!file)|pwd|token|secret|api_?key|odbc_connect)\w*"
"""Of whatever case: the name of an option that has a secret."""
_VARIABLE = r"\$(?:\w+|\{\w+\})"


def secrets_of(url: URL) -> list[str]:
    """The password, and the options that are named like one."""
    options = url.normalized_query.items()
    named = [value for name, values in options if re.fullmatch(SECRET_OPTION, name, re.I) for value in values]
    return [secret for secret in (url.password, *named) if secret]


def has_secret(address: str) -> bool:
    """Whether a secret is written out in an address, where it could be named as `$NAME` of the environment.

    Raises:
        ValueError: it is no address.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        # A port is to be a number.
        url = make_url(re.sub(rf":{_VARIABLE}(?=[/?]|$)", ":1", address))
    except (ArgumentError, ValueError):
        raise ValueError("it is no address as SQLAlchemy has it") from None
    return any(not re.fullmatch(_VARIABLE, secret) for secret in secrets_of(url))
