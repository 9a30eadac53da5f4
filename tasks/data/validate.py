"""Check the ingested tables, keep what is wrong in quarantine, stop when too much is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from prefect.logging import get_run_logger

from attrec.datasets.spotify import AUDIO_FEATURES
from attrec.datasets.tables import AS_WRITTEN, PAIR_AS_WRITTEN, Tables
from attrec.errors import DataError
from attrec.parameters import shortened
from attrec.shown import as_cells, one_line
from tasks.data.bounds import ExpectationsConfig, ValidationConfig
from tasks.data.expectations import (
    DUPLICATE_PAIR,
    NOT_NULL,
    ON_SCALE,
    Outcome,
    Rule,
    Scale,
    Validator,
    described_rules,
    item_rules,
    rating_rules,
    song_rules,
    user_rules,
)
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish, writing
from tasks.engine.caching import cached_task

STEP_TOLERANCE = 1e-3  # of a step


@cached_task("validate")
def validate(raw: Artifact, config: ValidationConfig, scale: Scale | None) -> Artifact:
    """Run the expectations on the raw tables.

    Args:
        raw: Folder with the canonical tables as ingested.
        config: Bounds and threshold.
        scale: None where users act without rating.

    Returns:
        Folder with `validation.json`, `quarantine.parquet` (every row that broke an expectation, with file, line,
        reason and whether it is dropped), the same as `quarantine.csv`, and `data_docs/`.
    """
    tables = Tables.load(raw.path)
    frames = _with_relations(tables, scale)
    validator = Validator()
    outcomes = [
        *validator.check(
            "ratings", frames["ratings"], rating_rules(frames["ratings"].columns, config, scale)
        ),
        *validator.check("users", frames["users"], user_rules(_told(frames["users"]), config)),
        *validator.check("items", frames["items"], _rules_of_items(frames["items"], config)),
    ]
    quarantine = _quarantine(frames, outcomes)
    with writing("validated") as draft:
        quarantine.to_parquet(draft.folder / "quarantine.parquet", index=False)
        as_cells(quarantine).to_csv(draft.folder / "quarantine.csv", index=False, lineterminator="\n")
        report = {"feedback": tables.feedback, **_report(frames, outcomes, quarantine, config)}
        (draft.folder / "validation.json").write_text(json.dumps(report, indent=2) + "\n")
        validator.write_docs(draft.folder / "data_docs")
        for heavy in ("fonts", "images"):
            shutil.rmtree(draft.folder / "data_docs" / "static" / heavy, ignore_errors=True)
    return draft.artifact


def enforce(validated: Artifact) -> dict[str, Any]:
    """Return the validation report, or stop when the share of bad rating rows is above the threshold.

    Raises:
        DataError: no ratings, or too many bad rows; the message names the first with file and line, and where all
            are listed.
        ServiceError: the disk is too full to list them.
    """
    environment.REFUSED_ROWS.unlink(missing_ok=True)
    report: dict[str, Any] = json.loads((validated.path / "validation.json").read_text())
    ratings, kind = report["tables"]["ratings"], report["feedback"].removesuffix("s")
    if not ratings["rows"]:
        raise DataError(f"The dataset has no {kind}s: give a file with at least one {kind}.")
    too_many = ratings["bad_fraction"] > report["max_bad_fraction"]
    if too_many or report["dropped_ratings"] == ratings["rows"]:
        publish(validated.path / "quarantine.csv", environment.REFUSED_ROWS)
        allowed = (
            f"more than the {report['max_bad_fraction']:.2%} allowed" if too_many else "so that none is left"
        )
        way_out = ", or raise prepare.validation.max_bad_fraction to leave such rows out" if too_many else ""
        raise DataError(
            f"{ratings['bad_rows']} of {ratings['rows']} {kind} rows are bad ({ratings['bad_fraction']:.2%}, {allowed})"
            f", first {report['first_bad']}: see {environment.REFUSED_ROWS.relative_to(environment.CHECKOUT)} for all"
            f" of them and mend the file{way_out}."
        )
    if ratings["bad_rows"]:
        get_run_logger().warning(
            "%s of %s %s rows are bad and kept apart in data/quarantine.parquet; first: %s",
            ratings["bad_rows"],
            ratings["rows"],
            kind,
            one_line(report["first_bad"]),
        )
    if off := report["off_scale"]:
        get_run_logger().warning("%s of %s ratings: %s; first: %s", *off.values())
    return report


def _with_relations(tables: Tables, scale: Scale | None) -> dict[str, pd.DataFrame]:
    """The tables with the columns that let a row-wise expectation check a foreign key, a count or a scale."""
    # An id that is null is told of as missing, which says it all.
    users, items = tables.ratings["user_id"], tables.ratings["item_id"]
    ratings = tables.ratings.assign(
        user_is_known=users.isna() | users.isin(tables.users["user_id"]),
        item_is_known=items.isna() | items.isin(tables.items["item_id"]),
    )
    if scale is not None:
        lowest, _, step = scale
        values = tables.ratings["rating"].astype("float64")
        steps = (values - lowest) / step
        # Ratings are kept in 32 bits, which round a large one by more than a fine step bears.
        tolerance = STEP_TOLERANCE + np.finfo(np.float32).eps * values.abs() / step
        ratings[ON_SCALE] = steps.isna() | ((steps - steps.round()).abs() < tolerance)
    counts = tables.ratings["user_id"].value_counts()
    activity = tables.users["user_id"].map(counts).fillna(0).astype("int64")
    return {"ratings": ratings, "users": tables.users.assign(ratings_of_user=activity), "items": tables.items}


def _rules_of_items(items: pd.DataFrame, config: ExpectationsConfig) -> list[Rule]:
    rules = [*item_rules(_told(items), config), *described_rules(items)]
    return [*rules, *song_rules()] if set(AUDIO_FEATURES) <= set(items.columns) else rules


def _told(frame: pd.DataFrame) -> pd.Index:
    """The columns that the dataset says anything in: what it has of nobody is not missing of somebody."""
    return frame.columns[frame.notna().any()]


def _reasons(outcome: Outcome, rows: pd.DataFrame) -> list[str]:
    """What is wrong with each of the rows; what could not be read is quoted as the file has it."""
    values = rows.get(outcome.column, pd.Series("", rows.index))
    whole = ".0" if pd.api.types.is_float_dtype(values) else ""
    # No format: names of columns may have braces.
    reasons = [
        outcome.fault.replace("{value}", str(value).removesuffix(whole)) for value in values.astype(str)
    ]
    if outcome.expectation != NOT_NULL:
        return reasons
    kind = "a whole number" if pd.api.types.is_integer_dtype(rows[outcome.column]) else "a number"
    kind = "a time" if outcome.column == "timestamp" else kind
    faults = [
        (f"{outcome.column}{AS_WRITTEN}", f"{outcome.column} {{text}} is not {kind}"),
        (f"line{AS_WRITTEN}", "the line {text} has too few or too many fields"),
    ]
    if outcome.column in ("user_id", "item_id"):
        faults.append((PAIR_AS_WRITTEN, "the id {text} does not name a user and an item"))
    for column, fault in faults:
        for row, text in enumerate(rows.get(column, ())):
            if pd.notna(text):
                reasons[row] = fault.replace("{text}", shortened(text))
    return reasons


def _quarantine(frames: dict[str, pd.DataFrame], outcomes: list[Outcome]) -> pd.DataFrame:
    """One line for each bad row and reason, in the order of table, file and line; values as text."""
    parts = []
    for outcome in outcomes:
        if not outcome.rows:
            continue
        rows = frames[outcome.table].iloc[list(outcome.rows)]
        values = rows.drop(columns=["file", "line"]).astype(object).where(rows.notna(), None)
        parts.append(
            pd.DataFrame(
                {
                    "table": outcome.table,
                    "file": rows["file"].astype(str).to_numpy(),
                    "line": rows["line"].to_numpy(),
                    "reason": _reasons(outcome, rows),
                    "severity": outcome.severity,
                    # Of a duplicated pair cleaning keeps one row, so none is dropped here.
                    "dropped": outcome.severity == "error" and outcome.expectation != DUPLICATE_PAIR,
                    "values": [_as_json(record) for record in values.to_dict("records")],
                }
            )
        )
    columns = ["table", "file", "line", "reason", "severity", "dropped", "values"]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns}).astype(
            {"line": "int64", "dropped": "bool"}
        )
    # A line that could not be split is null in every column and would be told of once for each.
    listed = pd.concat(parts, ignore_index=True).drop_duplicates()
    return listed.sort_values(["table", "file", "line", "reason"], ignore_index=True)


def _as_json(record: dict[Hashable, Any]) -> str:
    known = {name: value for name, value in record.items() if value is not None}
    return json.dumps(known, default=str, ensure_ascii=False)


def _told_off_scale(outcome: Outcome, ratings: pd.DataFrame) -> dict[str, Any]:
    first = ratings.iloc[outcome.rows[0]]
    return {
        "ratings": outcome.unexpected,
        "of": outcome.checked,
        "fault": outcome.fault,
        "first": f"{first['file']}, line {first['line']} ({first['rating']:g})",
    }


def _report(
    frames: dict[str, pd.DataFrame],
    outcomes: list[Outcome],
    quarantine: pd.DataFrame,
    config: ValidationConfig,
) -> dict[str, Any]:
    """The summary that is kept: small, and the same for the same data."""
    errors = quarantine[quarantine["severity"] == "error"]
    bad_ratings = errors[errors["table"] == "ratings"]
    first = "" if bad_ratings.empty else "{file}, line {line} ({reason})".format(**bad_ratings.iloc[0])
    off_scale = next((outcome for outcome in outcomes if outcome.column == ON_SCALE and outcome.rows), None)
    tables = {
        name: {
            "rows": len(frame),
            "bad_rows": len(bad := errors.loc[errors["table"] == name, ["file", "line"]].drop_duplicates()),
            "bad_fraction": len(bad) / max(len(frame), 1),
        }
        for name, frame in frames.items()
    }
    return {
        "success": all(outcome.success for outcome in outcomes if outcome.severity == "error"),
        "max_bad_fraction": config.max_bad_fraction,
        "first_bad": first,
        "off_scale": None if off_scale is None else _told_off_scale(off_scale, frames["ratings"]),
        "dropped_ratings": len(bad_ratings.loc[bad_ratings["dropped"], ["file", "line"]].drop_duplicates()),
        "tables": tables,
        "expectations": [
            {
                "table": outcome.table,
                "expectation": outcome.expectation,
                "column": outcome.column,
                "severity": outcome.severity,
                "success": outcome.success,
                "checked": outcome.checked,
                "unexpected": outcome.unexpected,
            }
            for outcome in outcomes
        ],
    }
