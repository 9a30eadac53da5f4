"""Strange files of ratings: read, or refused in one sentence; `look` too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from attrec.datasets.look import look
from attrec.datasets.own_data import OwnDataConfig, read_own_data
from attrec.errors import AttrecError

SOUND = "user_id,item_id,rating,timestamp\n" + "".join(
    f"{user},i{item},{1 + (user * item) % 5},{978300000 + 60 * user + item}\n"
    for user in range(12)
    for item in range(9)
    if (user + item) % 4
)
BITS = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b"\r", b"\r\n", b"\n\n", b",", b";"]),
    st.sampled_from(
        [b"inf", b"nan", b"-0", b"1e400", b"1,5", b"0x10", b"\xe2\x80\xae", b"=1+1", b"NULL", b"'"]
    ),
    st.sampled_from(
        [b"9" * 400, b"x" * 5000, b"\xed\xa0\x80", b"\x1f\x8b\x08", b"PAR1", b"\x28\xb5\x2f\xfd"]
    ),
)


@st.composite
def harmed(draw: st.DrawFn) -> bytes:
    """A sound file after a few changes: something put in, cut out, doubled, or written in another encoding."""
    content = SOUND.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig", "cp037"])))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        match draw(st.sampled_from(["in", "in", "in", "cut", "double", "replace"])):
            case "in":
                content = content[:start] + draw(BITS) + content[start:]
            case "cut":
                content = content[:start] + content[end:]
            case "double":
                content = content[:end] + content[start:]
            case _:
                content = content[:start] + draw(BITS) + content[end:]
    return content


def refusal(run: Callable[[], object]) -> str:
    """What is said against a file; nothing when it is taken."""
    try:
        run()
    except AttrecError as error:
        return str(error)
    return ""


def test_a_file_that_was_harmed(tmp_path: Path, rounds, faults_seed, note):
    @seed(faults_seed)
    @settings(
        max_examples=60 * rounds,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(harmed())
    def see(content: bytes) -> None:
        file = tmp_path / "mine.csv"
        file.write_bytes(content)
        config = OwnDataConfig.model_validate({"path": file, "timestamp_column": "timestamp"})
        for what, run in (
            ("read", lambda: read_own_data(config)),
            ("looked at", lambda: look(file, "mine")),
        ):
            said = refusal(run)
            assert len(said) < 2100
            note(f"a strange file, to be {what}", f"{len(content)} bytes", "one sentence" if said else what)

    see()
