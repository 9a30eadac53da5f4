"""What we expect of ratings, users, items and songs: Great Expectations suites in code, run in an ephemeral context."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation

from attrec.prepare.songs import numbers_of_items
from tasks.data.bounds import ExpectationsConfig
from tasks.data.data_docs import EscapingPageView

# It sets its own level and would tell of every temporary folder.
logging.getLogger("great_expectations").setLevel(logging.WARNING)
logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

ROW = "row"
NOT_NULL = "expect_column_values_to_not_be_null"
Scale = tuple[float, float, float]
"""Lowest and highest rating, and the step between two."""
ON_SCALE = "rating_is_on_scale"
DUPLICATE_PAIR = "expect_compound_columns_to_be_unique"
_UNIT = (0.0, 1.0)
AUDIO_BOUNDS: dict[str, tuple[float, float]] = {
    "danceability": _UNIT,
    "energy": _UNIT,
    "key": (-1, 11),  # -1: none was found
    "loudness": (-60, 10),
    "mode": _UNIT,
    "speechiness": _UNIT,
    "acousticness": _UNIT,
    "instrumentalness": _UNIT,
    "liveness": _UNIT,
    "valence": _UNIT,
    "tempo": (0, 300),
    "duration_ms": (1, 36_000_000),
}
"""What a feature can be by its definition in Spotify's Web API; loudness (dB) and tempo (beats a minute) as far as
they are plausible, and no song lasts ten hours."""


@dataclass(frozen=True)
class Rule:
    """One expectation and what a row that breaks it means: `error` rows are quarantined, `warning` rows reported.

    `fault` says in plain words what is wrong with such a row; `{value}` stands for its value.
    """

    expectation: Expectation
    fault: str
    severity: str = "error"


@dataclass(frozen=True)
class Outcome:
    """What one expectation found; `rows` are positions in the table, empty when nothing is unexpected."""

    table: str
    expectation: str
    column: str
    fault: str
    severity: str
    checked: int
    unexpected: int
    rows: tuple[int, ...]

    @property
    def success(self) -> bool:
        """Whether no row is unexpected."""
        return self.unexpected == 0


def rating_rules(columns: pd.Index, config: ExpectationsConfig, scale: Scale | None) -> list[Rule]:
    """Rules for `ratings` with the added columns user_is_known, item_is_known and `ON_SCALE`.

    Without a scale, that is where users act without rating, a pair may occur more than once.
    """
    rules = [_present(name) for name in ("user_id", "item_id")]
    if scale is not None:
        lowest, highest, step = scale
        rules += [
            _present("rating"),
            _between("rating", lowest, highest),
            Rule(
                gxe.ExpectColumnValuesToBeInSet(column=ON_SCALE, value_set=[True]),
                f"the rating is none of {lowest:g}, {lowest + step:g}, … {highest:g}",
                "warning",
            ),
            Rule(
                gxe.ExpectCompoundColumnsToBeUnique(column_list=["user_id", "item_id"]),
                "the user rates the item more than once",
            ),
        ]
    rules += [
        Rule(
            gxe.ExpectColumnValuesToBeInSet(column=f"{side}_is_known", value_set=[True]),
            f"the {side} is not in the table of {side}s",
        )
        for side in ("user", "item")
    ]
    if "timestamp" in columns:
        rules += [_present("timestamp"), _between("timestamp", config.timestamp_min, config.timestamp_max)]
    return rules


def user_rules(columns: pd.Index, config: ExpectationsConfig) -> list[Rule]:
    """Rules for `users` with the added column ratings_of_user."""
    enough: Expectation = gxe.ExpectColumnValuesToBeBetween(
        column="ratings_of_user", min_value=config.min_ratings_per_user
    )
    few = f"the user has fewer than {config.min_ratings_per_user} ratings or actions ({{value}})"
    rules = [_present("user_id"), _unique("user_id"), Rule(enough, few, "warning")]
    if "age" in columns:
        rules.append(_between("age", 1, config.age_max, "warning"))
    if "gender" in columns:
        rules.append(_present("gender", "warning"))
    return rules


def item_rules(columns: pd.Index, config: ExpectationsConfig) -> list[Rule]:
    """Rules for `items`."""
    rules = [_present("item_id"), _unique("item_id")]
    if "title" in columns:
        rules.append(_present("title", "warning"))
    if "year" in columns:
        rules += [_present("year", "warning"), _between("year", config.year_min, config.year_max, "warning")]
    return rules


def song_rules() -> list[Rule]:
    """Rules for `items` that are songs with Spotify's audio features, beside those of anything described."""
    return [
        _present("artist", "warning"),
        *(_between(name, *bounds) for name, bounds in AUDIO_BOUNDS.items()),
    ]


def described_rules(items: pd.DataFrame) -> list[Rule]:
    """Rules for the numbers that describe `items`."""
    return [_present(name, "warning") for name in numbers_of_items(items)]


def _present(column: str, severity: str = "error") -> Rule:
    return Rule(gxe.ExpectColumnValuesToNotBeNull(column=column), f"{column} is missing", severity)


def _unique(column: str) -> Rule:
    return Rule(gxe.ExpectColumnValuesToBeUnique(column=column), f"{column} {{value}} occurs more than once")


def _between(column: str, low: float, high: float, severity: str = "error") -> Rule:
    bounds: dict[str, Any] = {"min_value": low, "max_value": high}
    fault = f"{column} {{value}} is not in {low:.12g} to {high:.12g}"
    return Rule(gxe.ExpectColumnValuesToBeBetween(column=column, **bounds), fault, severity)


class Validator:
    """Runs suites in one ephemeral context, whose Data Docs show all of them."""

    def __init__(self) -> None:
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = self._context.data_sources.add_pandas("tables")

    def check(self, table: str, frame: pd.DataFrame, rules: list[Rule]) -> list[Outcome]:
        """Run `rules` on `frame`; row numbers are gathered only for the rules that are broken.

        Args:
            table: Name of the suite.
            frame: Any index; rows are named by position.
            rules: One or more.
        """
        batch = self._source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("all")
        numbered = frame.assign(**{ROW: range(len(frame))})
        suite = self._context.suites.add(
            gx.ExpectationSuite(table, expectations=[rule.expectation for rule in rules])
        )
        definition = self._context.validation_definitions.add(
            gx.ValidationDefinition(data=batch, suite=suite, name=table)
        )
        found = definition.run(batch_parameters={"dataframe": numbered}, result_format="SUMMARY")
        # Great Expectations groups the results by column, so the order of the rules is lost.
        results = {
            _identity(config.type, config.kwargs): result
            for result in found.results
            if (config := result.expectation_config) is not None
        }
        outcomes = []
        for rule in rules:
            kwargs = rule.expectation.configuration.kwargs
            result = results[_identity(rule.expectation.expectation_type, kwargs)]
            if result.exception_info and result.exception_info.get("raised_exception"):
                raise RuntimeError(f"{table}: {rule.expectation.expectation_type}: {result.exception_info}")
            unexpected = int(result.result.get("unexpected_count", 0))
            rows = self._unexpected_rows(batch, rule.expectation, numbered) if unexpected else ()
            outcomes.append(
                Outcome(
                    table=table,
                    expectation=rule.expectation.expectation_type,
                    column=str(kwargs.get("column") or ", ".join(kwargs["column_list"])),
                    fault=rule.fault,
                    severity=rule.severity,
                    checked=int(result.result["element_count"]),
                    unexpected=unexpected,
                    rows=rows,
                )
            )
        return outcomes

    def write_docs(self, folder: Path) -> None:
        """Write the Data Docs site: HTML pages with their style sheets."""
        # By itself a dollar would begin the name of a variable.
        store = {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder).replace("$", r"\$"),
        }
        index = {"class_name": "DefaultSiteIndexBuilder"}
        view = {"class_name": EscapingPageView.__name__, "module_name": EscapingPageView.__module__}
        site: Any = {
            "class_name": "SiteBuilder",
            "site_index_builder": index,
            "store_backend": store,
            "site_section_builders": {part: {"view": view} for part in ("expectations", "validations")},
        }
        self._context.add_data_docs_site("docs", site)
        self._context.build_data_docs(["docs"])

    def _unexpected_rows(self, batch: Any, expectation: Expectation, frame: pd.DataFrame) -> tuple[int, ...]:
        result_format = {
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [ROW],
            "return_unexpected_index_query": False,
        }
        result = batch.get_batch({"dataframe": frame}).validate(expectation, result_format=result_format)
        return tuple(sorted(int(entry[ROW]) for entry in result.result["unexpected_index_list"]))


def _identity(kind: str, kwargs: dict[str, Any]) -> tuple[str, str]:
    return kind, str(kwargs.get("column") or kwargs.get("column_list"))
