"""What crosses between checker and student process, and what is refused."""

import collections
import contextlib
import datetime
import decimal
import fractions
import io
import json
import math
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coursekit.grading import wire

Point = collections.namedtuple("Point", "x y")


def cross(value, special=None, unspecial=None):
    """Send a value through bytes."""
    encoder = wire.Encoder(special)
    stream = io.BytesIO()
    wire.send(stream, {"value": encoder.encode(value)}, encoder.blocks)
    stream.seek(0)
    message, blocks, size = wire.receive(stream)
    assert size <= len(stream.getvalue())
    return wire.Decoder(blocks, unspecial).decode(message["value"])


def same(one, other):
    """Tell whether two values are the same in type and content, nan included."""
    if type(one) is not type(other) and not (isinstance(one, tuple) and hasattr(one, "_fields")):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, types.SimpleNamespace):
        return same(vars(one), vars(other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    return one == other


small = st.integers(-(10**6), 10**6)
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters()),
    st.binary(max_size=30),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),
    st.builds(range, small, small, small.filter(bool)),
)
plain = st.one_of(
    hashable,
    st.floats(),
    st.complex_numbers(),
    st.binary().map(bytearray),
    st.just(...),
    st.builds(slice, st.none() | small, st.none() | small),
    hnp.arrays(
        st.sampled_from(["?", "i1", "u8", "f2", "f4", ">f8", "c16", "M8[s]", "m8[ns]", "S3", "U2"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from([np.float32(0.1), np.float64("nan"), np.int64(-3), np.bool_(True)]),
    st.lists(st.floats(), min_size=60, max_size=70),
    st.lists(st.integers(), min_size=60, max_size=70),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashable, inner, max_size=5),
        st.sets(hashable, max_size=5),
        st.frozensets(hashable, max_size=5),
        st.builds(types.SimpleNamespace, a=inner),
    ),
    max_leaves=15,
)


@given(values)
def test_plain_values_arrive_as_they_were(value):
    assert same(cross(value), value)


def test_large_numbers():
    for value in (2**53, -(2**53) - 1, 10**20_000, -(10**20_000), 2**63, [2**70] * 100):
        assert cross(value) == value


def test_named_tuples_keep_their_fields():
    value = cross(
        Point(1, [2]),
        lambda point, encoder: ["namedtuple", "Point", ["x", "y"], *map(encoder.encode, point)],
    )
    assert value == (1, [2])
    assert value.y == [2]
    assert type(value).__name__ == "Point"
    assert type(cross(Point(0, 0), lambda p, e: ["namedtuple", "Point", ["x", "y"], 0, 0])) is type(
        value
    )


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        np.array([None]),
        np.zeros(2, "V3"),
        np.zeros(2, [("a", "f8")]),
        1 << 4 * (wire.MAX_DIGITS + 1),
        range(10**9),
        collections.OrderedDict(),
        Point(1, 2),
        type("Sub", (int,), {})(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_data_is_refused(value):
    with pytest.raises(wire.CannotSendError):
        wire.Encoder().encode(value)


def test_what_contains_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(wire.CannotSendError, match="deep"):
        wire.Encoder().encode(endless)


def test_a_small_value_that_unfolds_into_a_large_one_is_refused():
    bomb = [0] * 10
    for _ in range(20):
        bomb = [bomb] * 10
    with pytest.raises(wire.CannotSendError, match="too many"):
        wire.Encoder().encode(bomb)


def decode(*trees, blocks=()):
    wire.Decoder(list(blocks)).decode(trees[0])


FORGED = [
    ["unknown"],
    [],
    {},
    {"a": 1},
    [["list"]],
    [None],
    ["list", ["no"]],
    ["dict", 1],
    ["dict", ["list"], 1],
    ["set", ["dict"]],
    ["int", 3],
    ["int", "x"],
    ["int", "f" * (wire.MAX_DIGITS + 2)],
    ["complex", "1", 2],
    ["range", 0, 10**12, 1],
    ["range", 0, 1, 0],
    ["range", 0.5, 1, 1],
    ["bytes", 7],
    ["bytes", -1],
    ["bytes", True],
    ["array", "<f8", [1], 0],
    ["array", "<f8", [-1], 0],
    ["array", "<f8", [2**62, 4], 0],
    ["array", "<f8", [1.0], 0],
    ["array", "<f8", [1] * 99, 0],
    ["array", "|O", [1], 0],
    ["array", "|V16", [1], 0],
    ["array", "O", [2], 0],
    ["array", "<U999999999", [0], 1],
    ["array", "<U0", [1], 1],
    ["array", "<f3", [1], 0],
    ["array", [["a", "<f8"]], [2], 0],
    ["array", "<U4", [1], 0],
    ["array", "|b1", [16], 0],
    ["scalar", "<f8", [2], 0],
    ["packed", "<c16", [1], 0],
    ["namedtuple", "Point", ["x"], 1, 2],
    ["namedtuple", "Point", ["x; import os"], 1],
    ["namedtuple", "class", ["x"], 1],
    ["namedtuple", "Point", ["_x"], 1],
    ["namedtuple", "P" * 200, ["x"], 1],
    ["namespace", ["__class__"], 1],
    ["decimal", "1" * 2000],
    ["decimal", "x"],
    ["fraction", 1, 0],
    ["fraction", 0.5, 1],
    ["date", "yesterday"],
    ["datetime", 3],
    ["timedelta", 10**12, 0, 0],
    ["dtype", "O"],
    ["special", {}],
    ["tensor", "<f8", [99], 0],
]


@pytest.mark.parametrize("tree", FORGED, ids=lambda tree: json.dumps(tree)[:40])
def test_forged_values_raise_one_kind_of_error(tree):
    with pytest.raises(wire.WireError):
        decode(tree, blocks=[b"\xff" * 16, b""])


def test_deep_values_raise_the_same_error():
    tree: list = ["list"]
    for _ in range(wire.MAX_DEPTH + 1):
        tree = ["list", tree]
    with pytest.raises(wire.WireError, match="deep"):
        decode(tree)


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(FORGED)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=3),
        st.tuples(st.sampled_from(sorted(wire._READERS)), inner, inner).map(list),
        st.tuples(st.sampled_from(sorted(wire._READERS)), inner).map(list),
    ),
    max_leaves=20,
)


@given(json_values, st.lists(st.binary(max_size=40), max_size=3))
def test_any_json_is_a_value_or_that_error(tree, blocks):
    with contextlib.suppress(wire.WireError):
        wire.Decoder(blocks).decode(tree)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_garbage_is_a_message_or_one_of_two_errors(content):
    with contextlib.suppress(wire.WireError, EOFError):
        wire.receive(io.BytesIO(content))


class Counting(io.BytesIO):
    """A stream that remembers the largest piece that was asked for."""

    largest = 0

    def readinto(self, buffer):
        self.largest = max(self.largest, len(buffer))
        return super().readinto(buffer)


@pytest.mark.parametrize(
    "content",
    [
        wire.HEADER.pack(wire.MAX_TEXT + 1, 0),
        wire.HEADER.pack(1, wire.MAX_BLOCK_COUNT + 1),
        wire.HEADER.pack(2, 1) + wire.LENGTH.pack(wire.MAX_BLOCKS + 1) + b"{}",
        wire.HEADER.pack(2, 2) + wire.LENGTH.pack(wire.MAX_BLOCKS) * 2 + b"{}",
        wire.HEADER.pack(4, 0) + b"\xff\xff{}",
        wire.HEADER.pack(2, 0) + b"[]",
        wire.HEADER.pack(100_000, 0) + b"[" * 100_000,
        wire.HEADER.pack(10_000, 0) + b"1" * 10_000,
    ],
)
def test_no_message(content):
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(content))


def test_memory_grows_only_with_what_has_arrived():
    lies = Counting(wire.HEADER.pack(2, 1) + wire.LENGTH.pack(wire.MAX_BLOCKS) + b"{}" + b"x" * 50)
    with pytest.raises(EOFError):
        wire.receive(lies)
    assert lies.largest <= wire.PIECE


def test_too_large_a_message_is_not_begun():
    stream = io.BytesIO()
    with pytest.raises(wire.CannotSendError):
        wire.send(stream, {"text": "x" * wire.MAX_TEXT}, [])
    assert stream.getvalue() == b""


def test_dates_keep_their_zone():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    value = datetime.datetime(2026, 1, 31, 12, 30, tzinfo=zone)
    assert cross(value).isoformat() == value.isoformat()


def test_decimal_and_fraction_stay_exact():
    assert str(cross(decimal.Decimal("1.10"))) == "1.10"
    assert cross(fractions.Fraction(10**30, 7)) == fractions.Fraction(10**30, 7)


def test_arrays_arrive_writable_and_in_order():
    value = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    arrived = cross(value)
    assert np.array_equal(arrived, value)
    arrived[0] = 7
    assert value[0, 0] == 0
