"""What the checker and the student process say to each other, and how.

The two processes are joined by a pair of byte streams. The student's end is in the hands of a
stranger, so nothing that arrives is ever executed or unpickled: a message is JSON, followed by raw
bytes for arrays.

A **message** is ``text length, number of blocks`` (two unsigned 32-bit numbers), the length of each
block (64-bit), the text (JSON, an object), and the blocks. There are two sorts:

- a **request** ``{"id": 7, "op": "get", …}`` and
- its **reply** ``{"re": 7, …}``. Each side may send requests of its own before it replies (a test
  passes a lambda to the student's function, which calls it): requests nest like function calls, and
  every request is replied to before the request around it.

A **value** inside a message is None, a bool, an int, a float or a string as in JSON, or a list that
begins with a tag::

    ["list", …]  ["tuple", …]  ["set", …]  ["frozenset", …]     the items
    ["dict", key, value, key, value, …]
    ["int", "-1f"]                              hexadecimal, for large numbers
    ["complex", 1.0, 2.0]  ["range", 0, 9, 1]  ["slice", 0, 9, null]  ["..."]
    ["bytes", 0]  ["bytearray", 0]              the number of a block
    ["array", "<f8", [2, 3], 0]                 type, shape, block: C order
    ["scalar", "<f4", [], 0]                    a NumPy scalar
    ["tensor", …]                               as array
    ["packed", "<f8", [1000], 0]                a long list of floats or of ints
    ["namedtuple", "Point", ["x", "y"], …]  ["namespace", ["x", "y"], …]
    ["decimal", "1.5"]  ["fraction", 1, 2]  ["date", "2026-01-31"]  ["time", …]  ["datetime", …]
    ["timedelta", days, seconds, microseconds]  ["dtype", "<f8"]
    ["special", {…}]                            what only one side knows: see `Special`

Everything is copied. What can't be written like this is a *special*: the student process numbers
the object and sends the number (see `student`), the checker makes a handle of it (see `proxies`).
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import keyword
import re
import struct
import sys
import types
from collections import namedtuple
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

MAX_TEXT = 16 << 20  # bytes of JSON in a message from the student
MAX_BLOCKS = 256 << 20  # bytes of all blocks in a message
MAX_BLOCK_COUNT = 1 << 16
MAX_ITEMS = 2_000_000  # values in a message
MAX_DEPTH = 50  # of lists in lists
MAX_DIGITS = 1 << 18  # hexadecimal digits of an int
MAX_RANGE = 10_000_000  # items; who sums up a longer one computes for ever
MAX_NESTED = 100  # requests inside requests
MAX_ITEM = 1 << 20  # bytes of one item of an array
PIECE = 1 << 20  # bytes that are read at once: memory grows only with what has arrived

HEADER = struct.Struct("!II")
LENGTH = struct.Struct("!Q")
DTYPE = re.compile(r"[<>|][biufcSUMm]\d{1,9}(\[\d{0,9}[a-zA-Z]{1,3}\])?")
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
LONG = 64  # lists of so many numbers travel as arrays

Block = bytes | bytearray | memoryview
Special = Callable[[Any, "Encoder"], Any]


class WireError(Exception):
    """What arrived is no message: the other side is broken, or lies."""


class AnswerError(TypeError):
    """A value that came whole and is none that a test should have to do with."""


class CannotSendError(TypeError):
    """A value can't be written as a message."""


# ---- Values to messages


class Encoder:
    """Write values as trees for JSON, and collect the blocks.

    Parameters
    ----------
    special : callable, optional
        ``special(value, encoder)`` gives the tree for values that are no plain data; the default
        refuses them.
    """

    def __init__(self, special: Special | None = None) -> None:
        self.special = special or refuse
        self.blocks: list[Block] = []
        self.items = 0
        self.depth = 0

    def encode(self, value: Any) -> Any:
        """Give the tree of a value.

        Raises
        ------
        CannotSendError
            If it is too large or too deep, or refused by `special`.
        """
        kind = type(value)
        self.items += 1
        if self.items > MAX_ITEMS:
            raise CannotSendError(f"more than {MAX_ITEMS:,} values at once are too many")
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            return value if -(1 << 53) < value < 1 << 53 else self._large(value)
        writer = _WRITERS.get(kind)
        if writer is None:
            if isinstance(value, np.generic) and value.dtype.kind in "biufcSUMm":
                return self._array("scalar", np.asarray(value))
            return self._inside(self.special, value, self)
        return self._inside(writer, self, value)

    def block(self, content: Block) -> int:
        """Keep a block until the message is sent; give its number."""
        self.blocks.append(content)
        return len(self.blocks) - 1

    def array(self, value: np.ndarray, tag: str = "array") -> Any:
        """Give the tree of an array (or of something like one, by its tag).

        Raises
        ------
        CannotSendError
            If its type is not a plain one.
        """
        if value.dtype.kind not in "biufcSUMm" or not value.dtype.itemsize:
            raise CannotSendError(f"an array of the type {value.dtype} can't be sent")
        return self._array(tag, value)

    def _inside(self, write: Callable[..., Any], *arguments: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CannotSendError(f"values inside values, more than {MAX_DEPTH} deep")
        try:
            return write(*arguments)
        finally:
            self.depth -= 1

    def _array(self, tag: str, value: np.ndarray) -> Any:
        if value.nbytes > MAX_BLOCKS:
            raise CannotSendError(f"an array of {value.nbytes >> 20} MiB is too large")
        # the array's own memory, if it lies in order; as numbers, for dates have no buffer
        block = self.block(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return [tag, value.dtype.str, list(value.shape), block]

    def _large(self, value: int) -> Any:
        if value.bit_length() > 4 * MAX_DIGITS:
            raise CannotSendError("the number has too many digits")
        return ["int", f"{value:x}"]

    def _list(self, value: list[Any]) -> Any:
        if len(value) > MAX_ITEMS:
            raise CannotSendError(f"more than {MAX_ITEMS:,} values at once are too many")
        if len(value) >= LONG:
            kinds = set(map(type, value))
            if kinds == {float}:
                return self._array("packed", np.array(value))
            if kinds == {int} and min(value) >= -(1 << 63) and max(value) < 1 << 63:
                return self._array("packed", np.array(value, np.int64))
        return ["list", *map(self.encode, value)]

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        return ["tuple", *map(self.encode, value)]

    def _dict(self, value: dict[Any, Any]) -> Any:
        return ["dict", *(self.encode(part) for item in value.items() for part in item)]

    def _set(self, value: set[Any]) -> Any:
        return ["set", *map(self.encode, value)]

    def _frozenset(self, value: frozenset[Any]) -> Any:
        return ["frozenset", *map(self.encode, value)]

    def _complex(self, value: complex) -> Any:
        return ["complex", value.real, value.imag]

    def _range(self, value: range) -> Any:
        if _too_long(value):
            raise CannotSendError(f"a range of more than {MAX_RANGE:,} numbers can't be sent")
        return ["range", *map(self.encode, (value.start, value.stop, value.step))]

    def _slice(self, value: slice) -> Any:
        return ["slice", *map(self.encode, (value.start, value.stop, value.step))]

    def _ellipsis(self, value: Any) -> Any:
        return ["..."]

    def _bytes(self, value: bytes) -> Any:
        return ["bytes", self.block(value)]

    def _bytearray(self, value: bytearray) -> Any:
        return ["bytearray", self.block(bytes(value))]

    def _namespace(self, value: types.SimpleNamespace) -> Any:
        fields = vars(value)
        if not all(type(name) is str and IDENTIFIER.fullmatch(name) for name in fields):
            return self.special(value, self)
        return ["namespace", list(fields), *map(self.encode, fields.values())]

    def _decimal(self, value: decimal.Decimal) -> Any:
        return ["decimal", str(value)]

    def _fraction(self, value: fractions.Fraction) -> Any:
        return ["fraction", self.encode(value.numerator), self.encode(value.denominator)]

    def _time(self, value: Any) -> Any:
        return [type(value).__name__, value.isoformat()]

    def _timedelta(self, value: datetime.timedelta) -> Any:
        return ["timedelta", value.days, value.seconds, value.microseconds]

    def _ndarray(self, value: np.ndarray) -> Any:
        if value.dtype.kind in "biufcSUMm" and value.dtype.itemsize:
            return self._array("array", value)
        return self.special(value, self)


_WRITERS: dict[type, Callable[..., Any]] = {
    list: Encoder._list,
    tuple: Encoder._tuple,
    dict: Encoder._dict,
    set: Encoder._set,
    frozenset: Encoder._frozenset,
    complex: Encoder._complex,
    range: Encoder._range,
    slice: Encoder._slice,
    type(...): Encoder._ellipsis,
    bytes: Encoder._bytes,
    bytearray: Encoder._bytearray,
    types.SimpleNamespace: Encoder._namespace,
    decimal.Decimal: Encoder._decimal,
    fractions.Fraction: Encoder._fraction,
    datetime.date: Encoder._time,
    datetime.time: Encoder._time,
    datetime.datetime: Encoder._time,
    datetime.timedelta: Encoder._timedelta,
    np.ndarray: Encoder._ndarray,
}


def refuse(value: Any, encoder: Encoder) -> Any:
    """Refuse a value that is no plain data."""
    raise CannotSendError(f"an object of the type {type(value).__name__} can't be sent")


# ---- Messages to values


class Decoder:
    """Make values of the trees of one message.

    Parameters
    ----------
    blocks : list of bytes
        The message's. Arrays are made of the very memory of a bytearray.
    special : callable, optional
        Gives the value for the content of a special; the default accepts none.
    copy : bool
        Whether arrays get memory of their own.
    """

    def __init__(
        self,
        blocks: list[Block],
        special: Callable[[dict[str, Any]], Any] | None = None,
        copy: bool = False,
    ) -> None:
        self.blocks = blocks
        self.copy = copy
        self.special = special
        self.depth = 0

    def decode(self, tree: Any) -> Any:
        """Give the value of a tree.

        Raises
        ------
        WireError
            If the tree is not one that an `Encoder` makes.
        AnswerError
            If a subclass refuses the value; for no other reason.
        """
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        try:
            tag, *content = tree
            read = _READERS[tag]
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise WireError("too deep")
            try:
                return read(self, content)
            finally:
                self.depth -= 1
        except (WireError, AnswerError):
            raise
        except Exception as error:
            raise WireError(f"no value: {type(error).__name__}") from None

    def _items(self, content: list[Any]) -> list[Any]:
        return [self.decode(item) for item in content]

    def _dict(self, content: list[Any]) -> dict[Any, Any]:
        items = iter(self._items(content))
        return dict(zip(items, items, strict=True))

    def _int(self, content: list[Any]) -> int:
        (digits,) = content
        if len(digits) > MAX_DIGITS + 1:
            raise WireError("too many digits")
        return int(digits, 16)

    def _range(self, content: list[Any]) -> range:
        start, stop, step = map(_whole, self._items(content))
        made = range(start, stop, step)
        if _too_long(made):
            raise WireError("too long a range")
        return made

    def _slice(self, content: list[Any]) -> slice:
        start, stop, step = self._items(content)
        return slice(start, stop, step)

    def _bytes(self, content: list[Any]) -> bytes:
        (number,) = content
        return bytes(self._block(number))

    def _block(self, number: Any) -> Block:
        if type(number) is not int or not 0 <= number < len(self.blocks):
            raise WireError("no such block")
        return self.blocks[number]

    def array(self, content: list[Any]) -> np.ndarray:
        """Make an array of type, shape and block."""
        name, shape, number = content
        if type(name) is not str or not DTYPE.fullmatch(name):
            raise WireError("no plain array")
        dtype = np.dtype(name)
        block = self._block(number)
        size = dtype.itemsize
        if not 0 < size <= MAX_ITEM or len(shape) > 32:
            raise WireError("no plain array")
        for length in shape:
            if _whole(length) < 0:
                raise WireError("no shape")
            size *= length
        if size != len(block):
            raise WireError("the shape does not fit the data")
        if dtype.kind == "b" and np.frombuffer(block, np.uint8).max(initial=0) > 1:
            raise WireError("neither true nor false")
        if dtype.kind == "U" and np.frombuffer(block, name[0] + "u4").max(initial=0) > 0x10FFFF:
            raise WireError("no characters")
        made = np.frombuffer(block, dtype).reshape(shape)
        return made if made.flags.writeable and not self.copy else made.copy()

    def _scalar(self, content: list[Any]) -> Any:
        if content[1] != []:
            raise WireError("no scalar")
        return self.array(content)[()]

    def _tensor(self, content: list[Any]) -> Any:
        array = self.array(content)
        tensorflow = sys.modules.get("tensorflow")
        if tensorflow is None or array.dtype.kind not in "biufc" or not array.size:
            return array
        return tensorflow.constant(array)

    def complex(self, content: list[Any]) -> complex:
        """Make a complex number of its parts."""
        return complex(*map(_real, content))

    def _packed(self, content: list[Any]) -> list[Any]:
        if content[0] not in ("<f8", "<i8", ">f8", ">i8"):
            raise WireError("no list of numbers")
        numbers = self.array(content)
        if numbers.size > MAX_ITEMS:
            raise WireError("too many values")
        return numbers.tolist()

    def _namedtuple(self, content: list[Any]) -> Any:
        name, fields, *values = content
        return named_tuple(name, tuple(fields))(*self._items(values))

    def _namespace(self, content: list[Any]) -> types.SimpleNamespace:
        fields, *values = content
        if not all(type(name) is str and IDENTIFIER.fullmatch(name) for name in fields):
            raise WireError("no field")
        return types.SimpleNamespace(**dict(zip(fields, self._items(values), strict=True)))

    def _decimal(self, content: list[Any]) -> decimal.Decimal:
        (text,) = content
        if type(text) is not str or len(text) > 1000:
            raise WireError("no decimal")
        return decimal.Decimal(text)

    def _fraction(self, content: list[Any]) -> fractions.Fraction:
        numerator, denominator = map(_whole, self._items(content))
        return fractions.Fraction(numerator, denominator)

    def _dtype(self, content: list[Any]) -> np.dtype:
        (name,) = content
        if not DTYPE.fullmatch(name):
            raise WireError("no plain type")
        return np.dtype(name)

    def _special(self, content: list[Any]) -> Any:
        (about,) = content
        if self.special is None or type(about) is not dict:
            raise WireError("no special values here")
        return self.special(about)


_READERS: dict[str, Callable[[Decoder, list[Any]], Any]] = {
    "list": Decoder._items,
    "tuple": lambda self, content: tuple(self._items(content)),
    "dict": Decoder._dict,
    "set": lambda self, content: set(self._items(content)),
    "frozenset": lambda self, content: frozenset(self._items(content)),
    "int": Decoder._int,
    "complex": lambda self, content: self.complex(content),
    "range": Decoder._range,
    "slice": Decoder._slice,
    "...": lambda self, content: ...,
    "bytes": Decoder._bytes,
    "bytearray": lambda self, content: bytearray(self._bytes(content)),
    "array": lambda self, content: self.array(content),
    "scalar": Decoder._scalar,
    "tensor": Decoder._tensor,
    "packed": Decoder._packed,
    "namedtuple": Decoder._namedtuple,
    "namespace": Decoder._namespace,
    "decimal": Decoder._decimal,
    "fraction": Decoder._fraction,
    "date": lambda self, content: datetime.date.fromisoformat(*content),
    "time": lambda self, content: datetime.time.fromisoformat(*content),
    "datetime": lambda self, content: datetime.datetime.fromisoformat(*content),
    "timedelta": lambda self, content: datetime.timedelta(*map(_whole, content)),
    "dtype": Decoder._dtype,
    "special": Decoder._special,
}


def _too_long(value: range) -> bool:
    return (value.stop - value.start) // value.step > MAX_RANGE


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise WireError("no whole number")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float):
        raise WireError("no number")
    return value


_tuples: dict[tuple[str, tuple[str, ...]], type] = {}


def named_tuple(name: str, fields: tuple[str, ...]) -> type:
    """Make a named tuple's class, the same one for the same names.

    Raises
    ------
    WireError
        If a name is no plain one.
    """
    if len(fields) > 100 or len(_tuples) > 1000:
        raise WireError("too many fields")
    for word in (name, *fields):
        if type(word) is not str or not IDENTIFIER.fullmatch(word) or keyword.iskeyword(word):
            raise WireError("no name of a field")
    key = (name, fields)
    if key not in _tuples:
        _tuples[key] = namedtuple(name, fields)
    return _tuples[key]


# ---- Messages on streams


def send(writer: BinaryIO, message: dict[str, Any], blocks: list[Block]) -> None:
    """Write a message.

    Raises
    ------
    CannotSendError
        If it is larger than the other side accepts; nothing is written then.
    OSError
        If the other side is gone.
    """
    text = json.dumps(message, separators=(",", ":")).encode()
    if len(text) > MAX_TEXT or sum(map(len, blocks)) > MAX_BLOCKS or len(blocks) > MAX_BLOCK_COUNT:
        raise CannotSendError("the value is too large to be sent")
    lengths = [LENGTH.pack(len(block)) for block in blocks]
    writer.write(b"".join([HEADER.pack(len(text), len(blocks)), *lengths, text]))
    for block in blocks:
        writer.write(block)
    writer.flush()


def receive(reader: BinaryIO) -> tuple[dict[str, Any], list[Block], int]:
    """Read a message.

    Returns
    -------
    dict
        The JSON object.
    list of bytes
        The blocks.
    int
        The bytes in all.

    Raises
    ------
    EOFError
        If the stream has ended.
    WireError
        If what arrives is no message. Nothing larger than the limits is ever kept.
    """
    size, count = HEADER.unpack(_read(reader, HEADER.size))
    if size > MAX_TEXT or count > MAX_BLOCK_COUNT:
        raise WireError("too large")
    lengths = [LENGTH.unpack(_read(reader, LENGTH.size))[0] for _ in range(count)]
    if sum(lengths) > MAX_BLOCKS:
        raise WireError("too large")
    text = bytes(_read(reader, size))
    blocks: list[Block] = [_read(reader, length) for length in lengths]
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError("no JSON") from error
    if type(message) is not dict:
        raise WireError("no message")
    return message, blocks, size + sum(lengths)


def _read(reader: BinaryIO, size: int) -> bytearray:
    """Read exactly so many bytes."""
    content = bytearray()
    while len(content) < size:
        begin = len(content)
        content += bytes(min(size - begin, PIECE))
        with memoryview(content) as view:
            while begin < len(content):
                count = reader.readinto(view[begin:])  # type: ignore[attr-defined]
                if not count:
                    raise EOFError("the stream has ended")
                begin += count
    return content


class Channel:
    """Requests and replies, nested like function calls, over a pair of streams.

    Parameters
    ----------
    reader, writer : binary streams
        From and to the other side.
    serve : callable
        ``serve(request, blocks)`` gives the reply to a request of the other side, and its blocks.
    hold : callable
        Makes a context in which no time limit strikes: a message that is read or written by half
        would be the end of the conversation.
    """

    def __init__(
        self,
        reader: BinaryIO,
        writer: BinaryIO,
        serve: Callable[[dict[str, Any], list[Block]], tuple[dict[str, Any], list[Block]]],
        hold: Callable[[], Any],
    ) -> None:
        self.reader, self.writer, self.serve, self.hold = reader, writer, serve, hold
        self.count = 0
        self.nested = 0
        self.received = 0

    def ask(
        self, request: dict[str, Any], blocks: list[Block]
    ) -> tuple[dict[str, Any], list[Block]]:
        """Send a request, serve what the other side asks meanwhile, and give the reply.

        Raises
        ------
        CannotSendError
            If the request is too large; nothing is sent then.
        EOFError, OSError
            If the other side is gone.
        WireError
            If it answers out of turn.
        """
        with self.hold():
            number = self.count + 1
            send(self.writer, {**request, "id": number}, blocks)
            self.count = number
            while True:
                message, blocks = self._receive()
                if "re" in message:
                    if message["re"] != number:
                        raise WireError("an answer to no question")
                    return message, blocks
                self._answer(message, blocks)

    def answer(self) -> None:
        """Wait for a request of the other side, and serve it.

        Raises
        ------
        EOFError, OSError
            If the other side is gone.
        WireError
            If it sends anything else.
        """
        with self.hold():
            self._answer(*self._receive())

    def _receive(self) -> tuple[dict[str, Any], list[Block]]:
        message, blocks, size = receive(self.reader)
        self.received += size
        return message, blocks

    def _answer(self, request: dict[str, Any], blocks: list[Block]) -> None:
        number = request.get("id")
        if type(number) is not int or self.nested >= MAX_NESTED:
            raise WireError("no request, or too many inside each other")
        self.nested += 1
        try:
            reply, blocks = self.serve(request, blocks)
        finally:
            self.nested -= 1
        send(self.writer, {**reply, "re": number}, blocks)
