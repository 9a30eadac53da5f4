"""The report: one self-contained HTML page, the same bytes for the same contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attrec.files import write_text
from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.cleaning_rules import meaning_of
from attrec.reporting.contents import DatasetReport, Provenance, ReportData, TaskReport
from attrec.reporting.elements import Figure, Section, Table
from attrec.reporting.plots.common import distributions
from attrec.reporting.sections.overview import overview
from attrec.reporting.sections.playlists import playlist_section
from attrec.reporting.sections.ratings import rating_section
from attrec.reporting.sections.sequences import sequence_section
from attrec.reporting.sections.tuning import tuning_section

_HERE = Path(__file__).parent


def render(data: ReportData) -> str:
    """The report as HTML; it refers to nothing outside itself, and no clock is read."""
    tasks: list[tuple[Section, TaskReport]] = []
    splits: list[tuple[str, str]] = []
    if data.rating is not None:
        tasks.append((rating_section(data.rating, data.dataset), data.rating))
        splits.append((data.dataset.split, data.dataset.split_hash))
    if data.sequence is not None:
        tasks.append((sequence_section(data.sequence, data.dataset), data.sequence))
        splits.append((data.sequence.split, data.sequence.split_hash))
    if data.playlist is not None:
        tasks.append((playlist_section(data.playlist, data.dataset), data.playlist))
        splits.append((data.playlist.split, data.playlist.split_hash))
    named = [split for split, _ in splits if split]
    each = " a task" if len(named) > 1 else ""
    listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    lead = f"Recommenders compared on one split{each}{', ' if named else ''}{listed}."
    sections = [overview(tasks)] if tasks else []
    sections += [section for section, _ in tasks]
    if data.tuning:
        sections.append(tuning_section(data.tuning))
    versions = {"data": data.dataset.version, **{f"split {split}": digest for split, digest in splits}}
    hashes = {name: value for name, value in versions.items() if value} | dict(data.provenance.hashes)
    provenance = replace(data.provenance, hashes=hashes)
    return lay_out(data.dataset, provenance, lead, [*sections, data_section(data.dataset)])


def lay_out(dataset: DatasetReport, provenance: Provenance, lead: str, sections: Sequence[Section]) -> str:
    """A page with these sections and, last, where its figures come from."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html").render(
        dataset=dataset,
        provenance=provenance,
        lead=lead,
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        sections=[*sections, provenance_section(provenance)],
    )


def write_report(data: ReportData, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    write_text(path, render(data))


def data_section(dataset: DatasetReport) -> Section:
    """What the figures stand on: the data, what was done to them, and the split."""
    facts = {"Dataset": f"{dataset.title} ({dataset.name})"}
    if dataset.split:
        facts["Split"] = dataset.split
    if dataset.quarantined is not None:
        facts["Rows in quarantine"] = f"{dataset.quarantined:,}"
    if dataset.expectations is not None and len(dataset.expectations):
        success = dataset.expectations["success"].astype(bool)
        facts["Expectations met"] = f"{success.sum()} of {len(success)}"
    section = Section("data", "Data", facts=facts, notes=list(dataset.remarks))
    if dataset.split_sizes is not None and len(dataset.split_sizes):
        section.tables.append(Table("Parts of the split", dataset.split_sizes))
    if dataset.cleaning is not None:
        section.notes.extend(dataset.cleaning.notes)
        section.tables.extend(_cleaning(dataset.cleaning))
    if dataset.expectations is not None and len(dataset.expectations):
        section.tables.append(_validation(dataset.expectations))
    if dataset.distributions is not None and len(dataset.distributions):
        variables = ", ".join(dict.fromkeys(dataset.distributions["variable"]))
        section.figures.append(
            Figure.draw(
                distributions(dataset.distributions),
                "distributions",
                "Distributions before and after cleaning",
                f"Bar charts of {variables}: counts before cleaning as outlines, after cleaning filled.",
            )
        )
    return section


def _cleaning(report: CleaningReport) -> Iterator[Table]:
    counts = pd.DataFrame({"before": report.rows_in, "after": report.rows_out}).rename_axis("table")
    yield Table("Rows and cleaning", counts.reset_index())
    rules = pd.Series(report.rules, dtype="int64")
    met = rules[rules > 0].rename("rows").rename_axis("rule").reset_index()
    met["meaning"] = met["rule"].map(meaning_of)
    met["rule"] = met["rule"].str.replace("_", " ")
    idle = f"{len(rules) - len(met)} of {len(rules)} rules found nothing to do."
    if len(met):
        yield Table("Cleaning rules that met any row", met, note=idle)


def _validation(expectations: pd.DataFrame) -> Table:
    met = int(expectations["success"].sum())
    outcome = expectations["severity"].where(~expectations["success"].astype(bool), "met")
    table = expectations[["table", "column", "expectation", "checked", "unexpected"]].assign(outcome=outcome)
    names = table["expectation"].str.removeprefix("expect_").str.removeprefix("column_values_")
    table["expectation"] = names.str.replace("_", " ")
    caption = f"Validation: {met} of {len(table)} expectations met"
    return Table(
        caption, table.sort_values("outcome", key=lambda kind: kind == "met", kind="stable"), folded=True
    )


def provenance_section(provenance: Provenance) -> Section:
    """What it takes to make the same figures again."""
    state = "with uncommitted changes" if provenance.git_dirty else "clean"
    facts = {"Commit": f"{provenance.git_commit} ({state})"}
    if provenance.seeds:
        facts["Seeds"] = ", ".join(map(str, provenance.seeds))
    section = Section("provenance", "Provenance", facts=facts)
    if provenance.timings:
        rows = list(provenance.timings.items())
        section.tables.append(
            Table("Time taken", pd.DataFrame(rows, columns=["step", "seconds"]), decimals=1)
        )
    if provenance.runs:
        section.notes.append(
            "Names of models lead to their runs in MLflow."
            if provenance.links
            else "Models have their runs in MLflow: where this was made, `attrec ui` shows them, by the ids below."
        )
    for caption, columns, values in (
        ("Tracked runs", ["model", "run id"], provenance.runs),
        ("Hashes", ["artefact", "hash"], provenance.hashes),
        ("Parameters", ["parameter", "value"], dict(_dotted(provenance.params))),
        ("Versions", ["package", "version"], provenance.versions),
    ):
        if values:
            table = pd.DataFrame([(name, str(value)) for name, value in values.items()], columns=columns)
            links = provenance.links if values is provenance.runs else {}
            section.tables.append(Table(caption, table, folded=True, links=links))
    return section


def _dotted(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
