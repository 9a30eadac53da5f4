"""Fit all models of a comparison and let them answer, as cached tasks side by side; for any flow that compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prefect.futures import PrefectFuture

from attrec.models.specs import Spec
from tasks.comparison.family import Family, Fitted, Key, P
from tasks.comparison.plan import Submitted
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import loaded_source_hash
from tasks.engine.runner import gather
from tasks.engine.training_data import Part, Phase

Answers = dict[Key, PrefectFuture[Artifact]]


def fit_models(
    family: Family[P, Any],
    models: Mapping[str, Spec],
    seeds: Sequence[int],
    data: P,
    label: str = "fit and answer",
    parts: Sequence[Part] = ("validation", "test"),
) -> list[Fitted]:
    """Select, refit where the family does, and ask all models; in the order given.

    Args:
        label: Of the progress bars.
        parts: What is answered. The next is asked when everything is fitted and the one before it is answered: the
            test comes last. Without `validation` nothing is fitted for it that neither chooses nor is blended, and
            blends are not assembled into models that could be registered; without `test` nothing is refitted.
    """
    singles = {name: spec for name, spec in models.items() if not spec.blended}
    blended = {member for spec in models.values() for member in spec.blended}
    keys = [(name, seed) for name, spec in singles.items() for seed in seeds_of(spec, seeds)]
    validated = [key for key in keys if "validation" in parts or key[0] in blended]
    tested = keys if "test" in parts else []
    refits = family.refits and bool(tested)

    def submit(key: Key, phase: Phase = "select", selected: Submitted | None = None) -> Submitted:
        name, seed = key
        return family.plan(singles[name].model)(name, singles[name], seed, data.training, phase, selected)

    def chooses(key: Key) -> bool:
        return singles[key[0]].model.chooses

    selected = {key: submit(key) for key in keys if not refits or chooses(key) or key in validated}
    final = selected
    if refits:
        final = {key: submit(key, "final", selected[key] if chooses(key) else None) for key in keys}
    fits = futures_of([*selected.values(), *final.values()])

    def ask(part: Part, asked: Sequence[Key], fitted: Mapping[Key, Submitted]) -> Answers:
        if not asked:
            return {}
        answers = {
            key: family.answer(key, fitted[key].model, singles[key[0]].model, data, part) for key in asked
        }
        gather([*fits, *answers.values()], f"{label}, {part}")
        return answers

    validation = ask("validation", validated, selected)
    test = ask("test", tested, final)
    fitted = {}
    for name, spec in singles.items():
        own = [key for key in keys if key[0] == name]
        used = [[selected[key], final[key]] if refits and chooses(key) else [final[key]] for key in own]
        fitted[name] = Fitted(
            name=name,
            sentence=spec.sentence,
            code=loaded_source_hash(spec.model.__module__),
            config=spec.resolved(),
            tried=spec.tried,
            seeds=[seed for _, seed in own],
            models=[final[key].model.result() for key in own],
            selected=[selected[key].model.result() for key in own if key in selected],
            validation=[validation[key].result() for key in own if key in validation],
            test=[test[key].result() for key in own if key in test],
            autoencoders=results_of(selected[own[0]].autoencoders) if own[0] in selected else {},
            drawn=selected[own[0]].drawn if own[0] in selected else {},
            fits=[[future.result() for future in futures_of(made)] for made in used],
        )
    for name, spec in models.items():
        if spec.blended:
            members = {member: fitted[member] for member in spec.blended}
            fitted[name] = family.blend(name, spec, members, data.training, assemble="validation" in parts)
    return [fitted[name] for name in models]


def seeds_of(spec: Spec, seeds: Sequence[int]) -> Sequence[int]:
    """The seeds that a model is fitted with: of one that no seed changes, the first."""
    return seeds if spec.model.seeded else seeds[:1]


def futures_of(submitted: Iterable[Submitted]) -> list[PrefectFuture[Artifact]]:
    """All tasks of these fits, each once."""
    return list(dict.fromkeys(future for one in submitted for future in one.futures()))


def results_of(futures: Mapping[str, PrefectFuture[Artifact]]) -> dict[str, Artifact]:
    """By name, what tasks left."""
    return {name: future.result() for name, future in futures.items()}
