"""The process that runs a student's cells, and answers the checker's questions about them.

It is the student's own: whatever runs here may change anything here. Nothing in it is secret, and
the checker believes nothing that it says beyond "this is what my answer is" (see `proxies`).

``python -m coursekit.grading.student LIMITS`` talks through standard input and output; LIMITS are
the fields of `limits.Limits` as JSON.
"""

from __future__ import annotations

import base64
import builtins
import collections
import contextlib
import functools
import inspect
import io
import json
import operator
import os
import random
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from coursekit.grading import testcell, wire
from coursekit.grading.alarm import Alarm, TimeUpError
from coursekit.grading.limits import Limits
from coursekit.grading.testcell import safe_text, short

MAX_ERROR = 2000  # characters of an error's text
MAX_LISTED = 1_000_000  # items of an object that is sent as a list
DATA_MODULES = ("__main__", "builtins", "collections", "array")
PLAIN: tuple[Any, ...]
PLAIN = (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
TABLES = ("pandas", "polars")  # they behave like arrays, and are more
SEED = 0  # of the student's own random numbers; the tests have others

SPECIAL: dict[str, Callable[..., Any]] = {
    "len": len,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "iter": iter,
    "next": next,
    "reversed": reversed,
    "bool": bool,
    "float": float,
    "int": int,
    "index": operator.index,
    "complex": complex,
    "hash": hash,
    "str": str,
    "repr": repr,
    "array": np.asarray,
    "round": round,
    "divmod": divmod,
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: getattr(operator, name) for name in ("neg", "pos", "abs", "invert")},
    **{name: getattr(operator, f"__{name}__") for name in ("and", "or", "xor")},
}
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "lshift",
    "rshift",
):
    SPECIAL[_name] = getattr(operator, _name)


def run(reader: BinaryIO, writer: BinaryIO, limits: Limits) -> None:
    """Serve the checker until the channel ends.

    Standard input, output and error are closed to the outside. The caller should end the process
    with `os._exit`: the student's code may have left threads and exit handlers behind.

    Parameters
    ----------
    reader, writer : binary streams
        From and to the checker.
    limits : Limits
        For cells and output.
    """
    silence()
    process = Process(reader, writer, limits)
    with contextlib.suppress(EOFError, OSError):
        while True:
            process.channel.answer()


def silence() -> None:
    """Point standard input, output and error to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    if nowhere > 2:
        os.close(nowhere)
    sys.stdin = Nobody()


class Nobody(io.StringIO):
    """Standard input where nobody answers."""

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """Refuse to ask."""
        raise RuntimeError("input() can't be used here: nobody is there to answer")


def make_shell() -> Any:
    """Give IPython's shell, without history files and colours."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "nocolor"
    settings.InteractiveShell.autocall = 0
    settings.InteractiveShell.cache_size = 0  # no growing list of outputs
    return InteractiveShell.instance(config=settings)


class CallbackError(Exception):
    """What a test's own function has raised."""


class Process:
    """The student's objects, and what can be done with them.

    Parameters
    ----------
    reader, writer : binary streams
        The channel.
    limits : Limits
        For cells and output.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO, limits: Limits) -> None:
        self.limits = limits
        self.alarm = Alarm()
        self.channel = wire.Channel(reader, writer, self.serve, self.alarm.hold)
        self.home = os.getpid()
        self.own: frozenset[str] = frozenset()
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.room = limits.output
        self.printed = testcell.Printed(0)  # what the code that runs for a test has printed
        self.shell = make_shell()
        prepare_shell(self.shell)
        self.names = self.shell.user_ns
        random.seed(SEED)
        np.random.seed(SEED)  # noqa: NPY002

    # ---- Requests

    def serve(
        self, request: dict[str, Any], blocks: list[wire.Block]
    ) -> tuple[dict[str, Any], list[wire.Block]]:
        """Do what a request asks for."""
        op = request["op"]
        if op == "begin":
            self.own = frozenset(request["own_classes"])
            return {"ok": None}, []
        seconds = request.get("seconds", self.limits.cell_seconds)
        if op == "cell":
            return self.cell(request["source"], seconds), []
        if op == "test":
            with self.alarm.limit(seconds):
                return {"result": self.alarm.freely(self.test, request)}, []
        encoder = wire.Encoder(self._special)
        reply: dict[str, Any] = {}
        with self._listening():
            try:
                with self.alarm.limit(seconds):
                    reply = self.alarm.freely(self._do, op, request, blocks, encoder)
            except BaseException as error:
                self._only_at_home()
                encoder = wire.Encoder(self._special)
                reply = {**reply, "error": self._error(error, encoder)}
            self._only_at_home()
            printed = self.printed.take()
        size = sum(map(len, encoder.blocks))
        if size > wire.MAX_BLOCKS:
            encoder = wire.Encoder(self._special)
            too_large = wire.CannotSendError("the answer is too large")
            reply = {"error": self._error(too_large, encoder)}
        if printed:
            reply["printed"] = printed
        return reply, encoder.blocks

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Keep what is printed in this context: a test may want to see it."""
        before = self.printed, sys.stdout
        self.printed = sys.stdout = testcell.Printed(self.limits.output)
        try:
            yield
        finally:
            self.printed, sys.stdout = before

    def _only_at_home(self) -> None:
        """End a process that a cell has forked: it must not speak for the student."""
        if os.getpid() != self.home:
            os._exit(0)

    def _do(
        self, op: str, request: dict[str, Any], blocks: list[wire.Block], encoder: wire.Encoder
    ) -> dict[str, Any]:
        """Do something with values; tell which arguments it has changed."""
        decoder = wire.Decoder(blocks, copy=True)
        decoder.special = functools.partial(self._decode, decoder=decoder)
        trees = request["args"]
        arguments = [decoder.decode(tree) for tree in trees]
        named = {name: decoder.decode(tree) for name, tree in request.get("named", {}).items()}
        passed: dict[Any, Any] = {**dict(enumerate(arguments)), **named}
        before = {**dict(enumerate(trees)), **request.get("named", {})}
        reply: dict[str, Any] = {}
        stand_ins = {n: decoder.decode(tree) for n, tree in request.get("builtins", {}).items()}
        try:
            with replaced(stand_ins):
                result = self._operate(op, arguments, named)
        except BaseException as error:
            self._only_at_home()
            reply["error"] = self._error(error, encoder)
        else:
            same = [key for key, value in passed.items() if value is result and mutable(value)]
            if same and type(same[0]) is int:
                reply["ok"] = ["special", {"argument": same[0]}]
            else:
                reply["ok"] = encoder.encode(result)
        if op == "call":
            changed = [
                [key, encoder.encode(value)]
                for key, value in passed.items()
                if mutable(value) and self._differs(value, before[key], blocks)
            ]
            if changed:
                reply["changed"] = changed
        return reply

    def _differs(self, value: Any, tree: Any, blocks: list[wire.Block]) -> bool:
        """Tell whether a value is no longer what a tree says."""
        encoder = wire.Encoder(self._special)
        try:
            return not same_tree(encoder.encode(value), encoder.blocks, tree, blocks)
        except wire.CannotSendError:
            return False

    def _operate(self, op: str, arguments: list[Any], named: dict[str, Any]) -> Any:
        if op == "call":
            function, *arguments = arguments
            return function(*arguments, **named)
        if op == "special":
            name, *arguments = arguments
            return self._special_method(name, *arguments)
        if op == "next":
            return next(*arguments)
        if op == "await":
            return self.shell.loop_runner(*arguments)
        if op == "attribute":
            return getattr(*arguments)
        if op == "about":
            return about_function(*arguments)
        if op == "source":
            return inspect.getsource(*arguments)
        if op == "pyplot":
            name, *arguments = arguments
            return getattr(sys.modules["matplotlib.pyplot"], name)(*arguments)
        if op == "random":
            return set_random(*arguments)
        if op == "setattr":
            return setattr(*arguments)
        if op == "delattr":
            return delattr(*arguments)
        if op == "isinstance":
            return isinstance(*arguments)
        if op == "issubclass":
            return issubclass(*arguments)
        if op == "get":
            (name,) = arguments
            if name in self.names:
                return self.names[name]
            raise NameError(f"name {name!r} is not defined")
        if op == "set":
            name, value = arguments
            self.names[name] = value
            return None
        if op == "delete":
            (name,) = arguments
            if name not in self.names:
                raise NameError(f"name {name!r} is not defined")
            del self.names[name]
            return None
        raise ValueError("no such request")

    def _special_method(self, name: str, *arguments: Any) -> Any:
        if name in ("enter", "exit"):
            return getattr(type(arguments[0]), f"__{name}__")(*arguments)
        if name in SPECIAL:
            return SPECIAL[name](*arguments)
        if name[0] == "r":
            return SPECIAL[name[1:]](*reversed(arguments))
        return getattr(operator, f"__{name}__")(*arguments)  # in place: iadd, …

    # ---- Cells

    def cell(self, source: str, seconds: float) -> dict[str, Any]:
        """Run a cell; give its error and outputs."""
        captured = Captured(self.room)
        error: BaseException | None = None
        try:
            with self.alarm.limit(seconds), captured.listening(self.shell):
                error = self.alarm.freely(self._run, source, captured)
        except BaseException as failure:
            error = failure
        self._only_at_home()
        outputs = captured.finish()
        self.room = max(0, captured.text.room)
        if error is not None:
            about = self._error_text(error)
            outputs.append(
                {"output_type": "error", "ename": about[0], "evalue": about[1], "traceback": []}
            )
        return {
            "error": None if error is None else f"{about[0]}: {about[1]}".rstrip(": "),
            "timeout": isinstance(error, TimeUpError),
            "outputs": outputs,
            "dropped": captured.text.dropped,
        }

    def _run(self, source: str, captured: Captured) -> BaseException | None:
        result = self.shell.run_cell(source, store_history=False)
        self._only_at_home()
        captured.figures()
        return result.error_before_exec or result.error_in_exec

    def test(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a test here, among the student's objects (``--in-process``)."""
        os.environ["COURSEKIT_SEED"] = str(request["seed"])
        testcell.seed_all(request["seed"])
        source, points, released = (request[name] for name in ("source", "points", "released"))
        return testcell.run_test(source, points, released, self.names, stop=self.alarm.stop)

    # ---- Values on their way

    def _number(self, value: Any) -> int:
        """Give an object's number; it is kept from now on."""
        number = self.numbers.get(id(value))
        if number is None:
            number = len(self.objects) + 1
            self.objects[number] = value
            self.numbers[id(value)] = number
        return number

    def _special(self, value: Any, encoder: wire.Encoder) -> Any:
        """Write what is no plain data of an exact plain type."""
        kind = type(value)
        if isinstance(value, Callback):
            pass
        elif isinstance(value, type):
            error = issubclass(value, BaseException)
            return self._handle(value, "error" if error else "class", value.__name__, value.__mro__)
        elif kind.__name__ in self.own and kind.__module__ == "__main__":
            return self._handle(value, "own", kind.__name__, kind.__mro__)
        elif isinstance(value, np.dtype):
            return ["special", {"dtype": value.str}]
        else:
            plain = self._plain(value, kind, encoder)
            if plain is not None:
                return plain
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            return self._handle(value, "function", value.__name__, (value,))
        if isinstance(value, np.ufunc | Callback) or (
            callable(value) and kind.__module__ == "numpy"
        ):
            return self._handle(value, "function", getattr(value, "__name__", ""), (value,))
        if kind in (types.GeneratorType, types.CoroutineType):
            return self._handle(value, kind.__name__, kind.__name__, ())
        if hasattr(kind, "__next__"):
            return self._handle(value, "iterator", kind.__name__, ())
        if isinstance(value, BaseException):
            return encoder.encode(safe_text(value))
        known = kind.__module__ not in DATA_MODULES or kind.__mro__[1:-1]
        return self._handle(value, "instance" if known else "opaque", kind.__name__, kind.__mro__)

    def _plain(self, value: Any, kind: Any, encoder: wire.Encoder) -> Any:
        """Write an object that behaves like data as data; None if it does not."""
        if isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
            fields = list(kind._fields)
            return ["namedtuple", kind.__name__, fields, *map(encoder.encode, tuple(value))]
        if isinstance(value, np.ndarray):
            array = np.asarray(value)
            if array.dtype.kind == "O":
                return encoder.encode(array.tolist())
            return encoder.array(array)
        for base in PLAIN:
            if isinstance(value, base):
                return encoder.encode(base(value))
        if kind.__module__.startswith(("tensorflow", "keras")) and hasattr(value, "numpy"):
            return self._tensor(value, encoder)
        if hasattr(kind, "__array__") and not kind.__module__.startswith(TABLES):
            array = np.asarray(value)
            if array.dtype.kind != "O":
                return encoder.array(np.ascontiguousarray(array).reshape(array.shape))
            return encoder.encode(array.tolist())
        if isinstance(value, collections.deque):
            return encoder.encode(list(value))
        if kind.__module__ in DATA_MODULES:
            if hasattr(kind, "__float__"):
                return encoder.encode(float(value))
            if hasattr(kind, "__index__"):
                return encoder.encode(operator.index(value))
            if hasattr(kind, "__iter__") and hasattr(kind, "__len__"):
                if len(value) > MAX_LISTED:
                    raise wire.CannotSendError("the answer has too many items")
                return encoder.encode(list(value))
        return None

    def _tensor(self, value: Any, encoder: wire.Encoder) -> Any:
        array = np.asarray(value)
        if array.dtype.kind == "V":  # bfloat16 and its like
            array = array.astype(np.float32)
        if array.dtype.kind not in "biufc":
            return encoder.encode(array.tolist())
        return encoder.array(array, "tensor")

    def _handle(self, value: Any, kind: str, title: Any, claims: tuple[Any, ...]) -> Any:
        names = [
            f"{c.__module__}:{getattr(c, '__qualname__', '')}"
            for c in claims[:50]
            if isinstance(getattr(c, "__module__", None), str)
        ]
        about = {
            "handle": self._number(value),
            "kind": kind,
            "title": str(title)[:100],
            "claims": names,
        }
        return ["special", about]

    def _decode(self, about: dict[str, Any], decoder: wire.Decoder | None = None) -> Any:
        """Read what the checker does not send as plain data."""
        assert decoder is not None
        if "handle" in about:
            return self.objects[about["handle"]]
        if "callback" in about:
            return Callback(self, about["callback"], about["title"])
        if "name" in about:
            return self.names[about["name"]]
        if "ref" in about:
            import importlib

            module, _, name = about["ref"].partition(":")
            found: Any = importlib.import_module(module)
            return getattr(found, name) if name else found
        if "dtype" in about:
            return np.dtype(about["dtype"])
        if "value" in about:
            return decoder.decode(about["value"])
        if "tensor" in about:
            import tensorflow as tf

            return tf.constant(decoder.decode(about["tensor"]))
        state = decoder.decode(about["generator"])
        bits = getattr(np.random, state["bit_generator"])()
        bits.state = state
        return np.random.Generator(bits)

    # ---- Callbacks and errors

    def call_back(self, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function of the test."""
        if threading.current_thread() is not threading.main_thread() or os.getpid() != self.home:
            raise RuntimeError("a function of the test can be called in the main thread only")
        encoder = wire.Encoder(self._special)
        request = {
            "op": "callback",
            "number": number,
            "args": [encoder.encode(value) for value in arguments],
            "named": {name: encoder.encode(value) for name, value in named.items()},
            "printed": self.printed.take(),
        }
        reply, blocks = self.channel.ask(request, encoder.blocks)
        if "error" in reply:
            about = reply["error"]
            module, _, name = about["type"].partition(":")
            kind: Any = getattr(builtins, name, Exception) if module == "builtins" else Exception
            if about["type"].endswith(":TimeUpError"):
                kind = TimeUpError
            error = kind.__new__(kind, about["text"])
            error.args = (about["text"],)
            error.coursekit_origin = about["origin"]
            raise error
        decoder = wire.Decoder(blocks, copy=True)
        decoder.special = functools.partial(self._decode, decoder=decoder)
        return decoder.decode(reply["ok"])

    def _error_text(self, error: BaseException) -> tuple[str, str]:
        if isinstance(error, TimeUpError):
            return "TimeLimit", f"it ran longer than {self.limits.cell_seconds:g} seconds"
        # Python 3.13 raises a private _IncompleteInputError
        known = next(k.__name__ for k in type(error).__mro__ if not k.__name__.startswith("_"))
        name = "".join(c for c in known if c.isidentifier() or c.isdigit())
        return short(name, 100), short(safe_text(error), MAX_ERROR)

    def _error(self, error: BaseException, encoder: wire.Encoder) -> dict[str, Any]:
        """Describe an exception for the checker."""
        kind = type(error)
        name, text = self._error_text(error)
        about: dict[str, Any] = {"type": name, "text": text}
        if isinstance(error, TimeUpError):
            about["type"] = "timeup"
        elif kind.__module__ != "builtins" or not issubclass(kind, Exception):
            about["type"] = ""
            about["class"] = self._special(kind, encoder)
        else:
            try:
                about["args"] = encoder.encode(tuple(error.args)) if error.args else None
            except Exception:
                about["args"] = None
        origin = getattr(error, "coursekit_origin", None)
        if type(origin) is int:
            about["origin"] = origin
        return about


class Callback:
    """A function of the test, as the student's code sees it."""

    def __init__(self, process: Process, number: int, title: str) -> None:
        self._process, self._number = process, number
        self.__name__ = title

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Let the checker call it."""
        return self._process.call_back(self._number, arguments, named)


@contextlib.contextmanager
def replaced(stand_ins: dict[str, Any]) -> Iterator[None]:
    """Let functions of the test stand for built-in ones in this context."""
    before = {name: getattr(builtins, name) for name in stand_ins}
    vars(builtins).update(stand_ins)
    try:
        yield
    finally:
        vars(builtins).update(before)


def about_function(function: Any) -> dict[str, Any]:
    """Tell what `inspect` knows of a function, in plain values."""
    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    parameters = [
        (
            p.name,
            int(p.kind),
            () if p.default is empty else (p.default,),
            () if p.annotation is empty else (annotation(p.annotation),),
        )
        for p in signature.parameters.values()
    ]
    returned = signature.return_annotation
    code = getattr(function, "__code__", None)
    names = ("co_flags", "co_names", "co_varnames", "co_freevars", "co_argcount")
    return {
        "parameters": parameters,
        "returned": () if returned is empty else (annotation(returned),),
        "code": {name: getattr(code, name) for name in names if code},
    }


def annotation(value: Any) -> str:
    """Name a class as ``module:name``; give the text of any other annotation."""
    if isinstance(value, type) and not isinstance(value, types.GenericAlias):
        return f"{value.__module__}:{value.__qualname__}"
    return value if isinstance(value, str) else repr(value)


def set_random(library: str, state: Any) -> None:
    """Continue with a test's random numbers, which it has made known."""
    if library == "numpy":
        np.random.set_state(state)  # noqa: NPY002
    else:
        random.setstate(state)


def mutable(value: Any) -> bool:
    """Tell whether a plain value can be changed by whom it is passed to."""
    return isinstance(value, list | dict | set | bytearray | np.ndarray) or (
        type(value) is tuple and any(map(mutable, value))
    )


def same_tree(
    tree: Any, blocks: list[wire.Block], other: Any, other_blocks: list[wire.Block]
) -> bool:
    """Tell whether two trees stand for the same values."""
    if type(tree) is not list or type(other) is not list or not tree or not other:
        return type(tree) is type(other) and (tree == other or tree != tree)
    if tree[0] != other[0] or len(tree) != len(other):
        return False
    if tree[0] in ("array", "packed", "scalar", "tensor"):
        return tree[1:3] == other[1:3] and same_bytes(blocks[tree[3]], other_blocks[other[3]])
    if tree[0] in ("bytes", "bytearray"):
        return same_bytes(blocks[tree[1]], other_blocks[other[1]])
    if tree[0] == "special":
        return True  # the very object, or one that can't be compared
    return all(
        same_tree(mine, blocks, its, other_blocks)
        for mine, its in zip(tree[1:], other[1:], strict=True)
    )


def same_bytes(one: wire.Block, other: wire.Block) -> bool:
    """Compare blocks, fast."""
    return np.array_equal(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8))


# ---- Outputs of cells


class Captured:
    """The outputs of a cell, up to a number of characters.

    Parameters
    ----------
    room : int
        Characters that are kept, of texts and of encoded pictures together.
    """

    def __init__(self, room: int) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.text = Stream(self, "stdout", room)

    @contextlib.contextmanager
    def listening(self, shell: Any) -> Any:
        """Receive what is printed and displayed in this context."""
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self.text, Stream(self, "stderr", 0)
        shell.display_pub.publish = self.display
        shell.displayhook.write_output_prompt = lambda: None
        shell.displayhook.write_format_data = self.result
        shell.showtraceback = lambda *_, **__: None
        shell.showsyntaxerror = lambda *_, **__: None
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams

    def write(self, stream: str, text: str) -> None:
        """Keep printed text."""
        last = self.outputs[-1] if self.outputs else {}
        if last.get("name") == stream:
            last["parts"].append(text)
        else:
            self.outputs.append({"output_type": "stream", "name": stream, "parts": [text]})

    def display(self, data: dict[str, Any], metadata: Any = None, **_: Any) -> None:
        """Keep what `display` shows."""
        self._keep("display_data", data)

    def result(self, data: dict[str, Any], metadata: Any = None) -> None:
        """Keep the value of a cell."""
        self._keep("execute_result", data)

    def _keep(self, kind: str, data: dict[str, Any]) -> None:
        kept = {}
        for mime in ("text/plain", "image/png"):
            value = data.get(mime)
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            if isinstance(value, str) and self.text.take(len(value)):
                kept[mime] = value
        if kept:
            output: dict[str, Any] = {"output_type": kind, "data": kept, "metadata": {}}
            if kind == "execute_result":
                output["execution_count"] = None
            self.outputs.append(output)

    def figures(self) -> None:
        """Keep the figures that are still open, and close them."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            picture = io.BytesIO()
            pyplot.figure(number).savefig(picture, format="png", bbox_inches="tight")
            self._keep("display_data", {"image/png": picture.getvalue()})
        pyplot.close("all")

    def finish(self) -> list[dict[str, Any]]:
        """Give the outputs as a notebook keeps them."""
        for output in self.outputs:
            if "parts" in output:
                output["text"] = "".join(output.pop("parts"))
        return self.outputs


class Stream(io.TextIOBase):
    """Standard output or error of a cell."""

    def __init__(self, captured: Captured, name: str, room: int) -> None:
        self.captured, self.name, self.room, self.dropped = captured, name, room, 0

    def take(self, size: int) -> bool:
        """Take room for so many characters, if there is."""
        if size > self.room:
            self.dropped += size
            return False
        self.room -= size
        return True

    def write(self, text: str) -> int:
        """Keep what there is room for; both streams share it."""
        account = self.captured.text
        kept = text[: account.room]
        account.room -= len(kept)
        account.dropped += len(text) - len(kept)
        if kept:
            self.captured.write(self.name, kept)
        return len(text)

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True


def prepare_shell(shell: Any) -> None:
    """Make a shell the student's: ``__main__``, no questions, shell lines without a terminal."""
    shell.user_module.__name__ = "__main__"
    shell.user_ns["__name__"] = "__main__"
    sys.modules["__main__"] = shell.user_module
    shell.system = system
    shell.enable_gui = lambda gui=None: None
    shell.ask_exit = lambda: None


def system(command: str) -> None:
    """Run a shell line (``!ls``) and print what it prints."""
    process = subprocess.Popen(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        assert process.stdout is not None
        for line in iter(functools.partial(process.stdout.read1, 1 << 16), b""):  # type: ignore
            sys.stdout.write(line.decode("utf-8", "replace"))


def main() -> None:
    """Serve a checker that has started this process."""
    limits = Limits(**json.loads(sys.argv[1]))
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    try:
        run(reader, writer, limits)
    finally:
        os._exit(0)


if __name__ == "__main__":
    # Once as a module with its real name: what is run as __main__ becomes the student's.
    from coursekit.grading import student

    student.main()
