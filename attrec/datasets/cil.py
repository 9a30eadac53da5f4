"""The ratings of ETH Zurich's CIL course: rows like ``r44_c1,4``, by which user 44 rates item 1 with 4.

A submission file has the same form; its ids name the pairs to predict.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from attrec.datasets.archive import Archive
from attrec.datasets.delimited import Kind, Layout, read_delimited, select_columns
from attrec.datasets.plain_text import read_block, unpacked
from attrec.datasets.tables import AS_WRITTEN, PAIR_AS_WRITTEN, Tables, ids_seen_in, items_seen_in
from attrec.errors import DataError, ServiceError
from attrec.files import StrPath, whole

ID_EXAMPLE = "r44_c1"
# 18 digits always fit 64 bits.
_ID = "^r(?P<user_id>[1-9][0-9]{0,17})_c(?P<item_id>[1-9][0-9]{0,17})$"


def read_cil(archive: Archive, folder: str, sha256: Mapping[str, str]) -> Tables:
    """Read ``data_train.csv``; a row whose id has another form has neither user nor item.

    There are no timestamps, and nothing is known of users and items but their ids.

    Raises:
        ArchiveError: the member is missing or altered.
        DataError: it is empty or of another form.
    """
    member = f"{folder}/data_train.csv"
    content = archive.read(member, sha256.get("data_train.csv"))
    rows = read_delimited(
        content, Layout({"Id": "text", "Prediction": "float"}, header=True, quoted=True), member
    )
    pairs = parse_ids(rows["Id"])
    ratings = pd.concat([pairs, select_columns(rows, {"Prediction": "rating"})], axis=1)
    ratings["rating"] = ratings["rating"].astype(np.float32)
    unread = pairs["user_id"].isna() & (rows["Id"].str.strip() != "")
    if unread.any():
        ratings[PAIR_AS_WRITTEN] = rows["Id"].where(unread)
    return Tables(ratings, ids_seen_in(ratings, "user_id"), items_seen_in(ratings))


def parse_ids(ids: pd.Series) -> pd.DataFrame:
    """user_id and item_id of ids like ``r44_c1``: int64, or Int64 with both null where an id has another form.

    Users and items count from 1, are written without leading zeros and have 18 digits at most.
    """
    parts = pc.extract_regex(pa.array(ids, pa.string()), _ID)
    columns = {}
    for name in ("user_id", "item_id"):
        numbers = pc.cast(pc.struct_field(parts, name), pa.int64())
        nullable = {pa.int64(): pd.Int64Dtype()} if numbers.null_count else {}
        columns[name] = numbers.to_pandas(types_mapper=nullable.get)
    return pd.DataFrame(columns)


def read_submission(path: StrPath) -> pd.DataFrame:
    """Read the pairs to predict: a file with the columns Id and Prediction, whose values are ignored, or Id alone.

    Returns:
        id (as written), user_id and item_id (int64), in the order of the file.

    Raises:
        DataError: the file is missing or of another form, or an id is; the sentence names its line.
    """
    with unpacked(Path(path), str(path)) as file:
        content = read_block(file, str(path), -1)
    columns: dict[str, Kind] = {"Id": "text"}
    if b"," in content.split(b"\n", 1)[0]:
        columns["Prediction"] = "text"
    rows = read_delimited(content, Layout(columns, header=True, quoted=True), str(path))
    pairs = parse_ids(rows["Id"])
    malformed = pairs["user_id"].isna()
    if malformed.any():
        row = rows.loc[malformed].iloc[0]
        whole = row.get(f"line{AS_WRITTEN}")
        quoted = row["Id"] if pd.isna(whole) else whole
        raise DataError(
            f"{path}, line {row['line']:,}: {quoted!r} is not an id like {ID_EXAMPLE} (user 44, item 1)."
        )
    return pd.DataFrame({"id": rows["Id"], **pairs})


def write_submission(ids: pd.Series, predictions: np.ndarray, path: StrPath) -> None:
    """Write ids and predictions as the columns Id and Prediction, whole or not at all.

    Raises:
        DataError: the file cannot be written.
        ServiceError: the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}.")
    table = pd.DataFrame({"Id": ids.to_numpy(), "Prediction": predictions})
    try:
        with whole(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ServiceError(
                f"The disk is full: {path.name} does not fit into {path.parent}; free some space and run again."
            ) from error
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
