"""A secret that is written out in an address is found wherever SQLAlchemy lets it stand."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from attrec.addresses import has_secret
from attrec.datasets.own_data import OwnDataConfig


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2@h/db",
        "postgresql://me:hun/ter2@h",
        "postgresql://me:$hun-ter2@h/db",
        "postgresql://me@h/db?sslmode=require&password=hunter2",
        "postgresql://me@h/db?password=$PASSWORD&password=hunter2",
        "mssql+pyodbc://h/db?PWD=hunter2",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2",
        "snowflake://me@h/db?access_token=hunter2",
    ],
)
def test_secrets_that_are_written_out(address: str) -> None:
    assert has_secret(address)
    with pytest.raises(ValidationError, match="url has a password"):
        OwnDataConfig(url=address, query="SELECT 1")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://$USER:$PASSWORD@$HOST:$PORT/$DB",
        "postgresql://me:${PASSWORD}@h/db?sslmode=require&passfile=.pgpass",
        "mssql+pyodbc:///?odbc_connect=$ODBC",
        "sqlite:////tmp/a.db",
    ],
)
def test_addresses_without(address: str) -> None:
    assert not has_secret(address)
    OwnDataConfig(url=address, query="SELECT 1")


@pytest.mark.parametrize("address", ["postgres", "host:port/db", "postgresql://host:port/db"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValidationError, match="url must be an address as SQLAlchemy has it"):
        OwnDataConfig(url=address, query="SELECT 1")
