"""Strange parameters: taken, or refused in one sentence before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from attrec.errors import AttrecError
from flows.playlist_params import PlaylistParams
from flows.prepare_params import PrepareParams
from flows.rating_params import RatingParams
from flows.report import ReportParams
from flows.sequence_params import SequenceParams
from tasks.engine.params import load_params

PARAMS = (PrepareParams, RatingParams, SequenceParams, PlaylistParams, ReportParams)
Place = tuple[str | int, ...]


def places(node: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a tree of mappings and lists."""
    if place:
        yield place
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*place, key))


STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 10**30, 10**400]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["nan", ".inf", "1e400", "../x", "/etc/passwd", "\u202e", "a" * 5000, "\x00"]),
    st.lists(st.integers() | st.floats() | st.none(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.none(), max_size=2),
    st.dates(),
)


def refusal(file: Path) -> str:
    """What any stage says against a file; nothing when all take it."""
    try:
        for params in PARAMS:
            load_params(params, file)
    except AttrecError as error:
        said = str(error)
    else:
        return ""
    assert "\n" not in said.strip()
    assert len(said) < 2100
    return said


@st.composite
def harmed(draw: st.DrawFn, whole: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A sound file of parameters with one strange value or one strange name."""
    tree = yaml.safe_load(yaml.safe_dump(whole))
    *above, last = draw(st.sampled_from(list(places(tree))))
    node = tree
    for key in above:
        node = node[key]
    if isinstance(node, dict) and draw(st.booleans()):
        name = draw(st.text(max_size=6) | st.integers() | st.none())
        node[name] = node.pop(last)
        return f"{last} named {name!r}", tree
    node[last] = draw(STRANGE)
    return f"{'.'.join(map(str, (*above, last)))} = {str(node[last])[:40]!r}", tree


def test_a_strange_value_or_name(project, tmp_path, rounds, faults_seed, note):
    whole = yaml.safe_load((project / "params.yaml").read_text())
    file = tmp_path / "params.yaml"

    @seed(faults_seed)
    @settings(
        max_examples=100 * rounds,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(harmed(whole))
    def see(case: tuple[str, dict[str, Any]]) -> None:
        drawn, tree = case
        file.write_text(yaml.safe_dump(tree, allow_unicode=True))
        note("a strange parameter", drawn, "one sentence" if refusal(file) else "taken")

    see()


@pytest.mark.parametrize("size", [0, 1, 200])
def test_noise_in_place_of_the_file(tmp_path, size, rounds, draws, note):
    file = tmp_path / "params.yaml"
    for _ in range(20 * rounds):
        file.write_bytes(draws.randbytes(size))
        assert refusal(file)
        note("a strange parameter", f"{size} bytes of noise", "one sentence")
