"""The report: one self-contained HTML page, the same bytes for the same contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attrec.reporting.contents import Provenance, ReportData
from attrec.reporting.plots import distributions
from attrec.reporting.rating_section import rating_section
from attrec.reporting.sections import Figure, Section, Table

_HERE = Path(__file__).parent


def render(data: ReportData) -> str:
    """The report as HTML; it refers to nothing outside itself, and no clock is read."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    tasks = [rating_section(data.rating, data.dataset)] if data.rating is not None else []
    return environment.get_template("report.html").render(
        data=data,
        dataset=data.dataset,
        style=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        tasks=tasks,
        data_section=_data_section(data),
        provenance_section=_provenance_section(data.provenance),
    )


def write_report(data: ReportData, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    page = render(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(path.name + ".part")
    staging.write_text(page, encoding="utf-8")
    staging.replace(path)


def _data_section(data: ReportData) -> Section:
    dataset = data.dataset
    facts = {"Dataset": f"{dataset.title} ({dataset.name})", "Data version": dataset.version}
    if dataset.split:
        facts["Split"] = dataset.split
    if dataset.split_hash:
        facts["Split hash"] = dataset.split_hash
    if dataset.quarantined is not None:
        facts["Rows in quarantine"] = f"{dataset.quarantined:,}"
    section = Section("data", "Data", facts=facts)
    for caption, table in (
        ("Rows before and after cleaning", dataset.counts),
        ("Parts of the split: every model is fitted and scored on these", dataset.split_sizes),
        ("Cleaning rules and how many rows each one met", dataset.cleaning),
    ):
        if table is not None and len(table):
            section.tables.append(Table(caption, table))
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


def _validation(expectations: pd.DataFrame) -> Table:
    met = int(expectations["success"].sum())
    table = expectations.assign(success=expectations["success"].map({True: "met", False: "NOT met"}))
    caption = f"Validation: {met} of {len(table)} expectations met"
    return Table(caption, table.rename(columns={"success": "outcome"}), folded=met == len(table))


def _provenance_section(provenance: Provenance) -> Section:
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
    for caption, columns, values, folded in (
        ("Tracked runs", ["model", "run id"], provenance.runs, False),
        ("Artefact hashes", ["artefact", "hash"], provenance.hashes, False),
        ("Parameters", ["parameter", "value"], dict(_dotted(provenance.params)), True),
        ("Versions", ["package", "version"], provenance.versions, True),
    ):
        if values:
            table = pd.DataFrame([(name, str(value)) for name, value in values.items()], columns=columns)
            section.tables.append(Table(caption, table, folded=folded))
    return section


def _dotted(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
