"""What the whole report says, at a glance: of each task what is best, by how much, how sure that is, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from attrec.metrics.intervals import FEWEST_USERS
from attrec.reporting.contents import PlaylistReport, SequenceReport, TaskReport
from attrec.reporting.elements import Card, Section, Sure
from attrec.reporting.leaderboard import (
    DECIMALS,
    best_first,
    checked_leaderboard,
    lower_is_better,
    metric_name,
    uses_time,
)
from attrec.reporting.standings import leads, rounded, spent, tested_users

_MEANINGS = {
    "rating": "how far predicted ratings lie from true ones; lower is better",
    "sequence": "how high in a list of ten what somebody does next stands: 1 is on top, 0 not in it",
    "playlist": "how much of what was left out stands in a list of ten, and how high: 1 is all of it, on top",
}
"""By task, what the metric that ranks says."""
_FEW = 3  # models that are named


def overview(tasks: Sequence[tuple[Section, TaskReport]]) -> Section:
    """A card a task.

    Args:
        tasks: Reports, each with its section.
    """
    return Section("summary", "In short", cards=[_card(section, report) for section, report in tasks])


def _card(section: Section, report: TaskReport) -> Card:
    ranked = _ranked(report)
    best = str(ranked["model"].iloc[0])
    shown = report.champion if report.champion in set(ranked["model"]) else best
    assert shown is not None
    [row] = ranked[ranked["model"] == shown].to_dict("records")
    sure, verdict, sentences = _verdict(report, ranked, shown)
    return Card(
        title=section.title,
        section=section.id,
        headline=shown,
        figure=f"{metric_name(report.metric)} {row['value']:.4f}",
        meaning=f"on the test part: {_MEANINGS[str(row['task'])]}",
        sure=sure,
        verdict=verdict,
        sentences=[
            *sentences,
            *_smallest(report, ranked, shown),
            *_limit(report, float(row["value"])),
            *_chosen(report, shown),
            *_change(report, ranked, shown),
        ],
    )


def _ranked(report: TaskReport) -> pd.DataFrame:
    """The rows of the metric that ranks, best first: of models with timestamps where one of those was chosen, of the
    others where not."""
    rows = best_first(checked_leaderboard(report.leaderboard), report.metric)
    timed = rows["model"].map(uses_time)
    with_time = bool(timed.all()) if report.champion is None else uses_time(report.champion)
    return rows[timed == with_time].reset_index(drop=True)


def _verdict(report: TaskReport, ranked: pd.DataFrame, shown: str) -> tuple[Sure, str, list[str]]:
    """Whether the lead is more than chance, in a few words and in sentences."""
    names = [str(name) for name in ranked["model"]]
    others = [name for name in names if name != shown]
    if not others:
        return "unknown", "Nothing to compare with", ["No other model was fitted."]
    tested = leads(report, names[0])
    users = tested_users(report, ranked)
    whom = report.counted if report.users is None else "users"
    rival = others[0]
    lead = tested.get(rival if shown == names[0] else shown)
    distance = _apart(ranked, shown, rival)
    if users < FEWEST_USERS:
        return "unknown", "Too few to say", [f"{distance}; the test has {users} {whom}, too few to say more."]
    if lead is None:
        return "unknown", "Not tested", [f"{distance}; whether that is more than chance was not tested."]
    how = f"on {users:,} {whom}, p {lead.p_text}"
    if shown != names[0]:
        if lead.significant:
            return "no", f"{rival} is better", [f"{distance}, which is more than chance ({how})."]
        return "no", "May be chance", [f"{distance}, which may be chance ({how})."]
    tied = [name for name in others if name in tested and not tested[name].significant]
    if tied:
        sentence = f"{distance}, which may be chance ({how}): {_named(tied)} may be as good."
        return "no", "May be chance", [sentence]
    return "yes", "Surely ahead", [f"{distance}, which is more than chance ({how})."]


def _apart(ranked: pd.DataFrame, shown: str, rival: str) -> str:
    """How far the shown model is from its nearest rival, without a full stop."""
    values = ranked.set_index("model")["value"]
    metric, own, other = str(ranked["metric"].iloc[0]), float(values[shown]), float(values[rival])
    if own == other:
        return f"It is level with {rival}"
    ahead = (own < other) == lower_is_better(metric)
    share = f" ({_percent(abs(own - other), other)})" if other else ""
    compared = f"{abs(own - other):.4f}{share}"
    if ahead:
        return f"It is {compared} better than the next, {rival}"
    return f"Best of the table is {rival}, by {compared}"


def _smallest(report: TaskReport, ranked: pd.DataFrame, shown: str) -> Iterator[str]:
    """What it costs, and what the smallest model of all reaches."""
    if report.costs is None or shown not in set(report.costs["model"]):
        return
    values, lower = ranked.set_index("model")["value"], lower_is_better(report.metric)
    [own] = report.costs[report.costs["model"] == shown].to_dict("records")
    took = "" if pd.isna(own["cpu_seconds"]) else f" and took {spent(own['cpu_seconds'])} to fit"
    yield f"It is made of {rounded(own['numbers'])} numbers{took}."
    known = report.costs.set_index("model").reindex(values.index)["numbers"].dropna()
    smallest = str(known.idxmin())
    if smallest == shown or smallest in set(ranked["model"].iloc[:2]):
        return
    value, other = float(values[shown]), float(values[smallest])
    if not lower and other > 0 and value >= 2 * other:
        compared = f"{value / other:.1f} times that of the smallest model, {smallest}"
    elif other > 0:
        word = "better" if (value < other) == lower else "worse"
        compared = f"{_percent(abs(value - other), other)} {word} than that of the smallest model, {smallest}"
    else:
        compared = f"beside 0 of the smallest model, {smallest}"
    yield f"Its {metric_name(report.metric)} is {compared}."


def _limit(report: TaskReport, value: float) -> Iterator[str]:
    """How near the best is that anybody could reach, where the data are drawn and that is known."""
    name = metric_name(report.metric)
    if report.noise_floor is not None:
        gap = value - report.noise_floor
        yield (
            f"That is {_percent(abs(gap), report.noise_floor)} {'above' if gap >= 0 else 'below'} the noise floor of "
            f"these simulated data, {report.noise_floor:.4f}: no model can do better but by luck."
        )
    if isinstance(report, (SequenceReport, PlaylistReport)) and report.metric in report.ceiling:
        ceiling = report.ceiling[report.metric]
        yield (
            f"That is {value / ceiling:.0%} of the {name} that could be expected of who knew by what chances these "
            f"data were simulated, {ceiling:.4f}."
        )


def _chosen(report: TaskReport, shown: str) -> Iterator[str]:
    if report.champion is None:
        yield "It is shown as the best of the table: validation has chosen none."
    else:
        yield f"Validation chose {report.champion}; the test had no say in it."
    if report.decision:
        yield f"Registry: {report.decision}"


def _change(report: TaskReport, ranked: pd.DataFrame, shown: str) -> Iterator[str]:
    """What is otherwise than in the last committed run."""
    if report.earlier is None:
        return
    then = report.earlier.leaderboard
    earlier = then[then["metric"] == report.metric].set_index("model")["value"]
    now = ranked.set_index("model")["value"]
    earlier = earlier[earlier.index.map(uses_time) == uses_time(shown)]
    since = f"Since the last committed run ({report.earlier.commit[:10]})"
    parts = list(_differences(report.metric, earlier, now, shown))
    data = (
        ""
        if report.earlier.same_data
        else " The data are of another version now, so that rows may be others."
    )
    yield f"{since}: {'; '.join(parts)}.{data}" if parts else f"{since} no figure has changed.{data}"


def _differences(metric: str, then: pd.Series, now: pd.Series, shown: str) -> Iterator[str]:
    if shown in then:
        change = round(float(now[shown] - then[shown]), DECIMALS)
        if change:
            word = "better" if (change < 0) == lower_is_better(metric) else "worse"
            yield f"{shown} is {abs(change):.4f} {word}"
    first_then = (
        str(then.sort_values(ascending=lower_is_better(metric), kind="stable").index[0]) if len(then) else ""
    )
    if first_then and first_then != now.index[0]:
        yield f"best of the table was {first_then} ({then[first_then]:.4f})"
    both = now.index.intersection(then.index).drop(shown, errors="ignore")
    changed = int(((now[both] - then[both]).round(DECIMALS) != 0).sum())
    if changed:
        yield f"{changed} other model{'s have' if changed > 1 else ' has'} another figure"
    for names, word in (
        (now.index.difference(then.index), "new"),
        (then.index.difference(now.index), "gone"),
    ):
        if len(names):
            yield f"{word}: {_named(list(names))}"


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole
    return f"{share:.{0 if share >= 10 else 1 if share >= 1 else 2}f} %"


def _named(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    listed, more = list(names[:_FEW]), len(names) - _FEW
    if more > 0:
        listed.append(f"{more} more")
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
