"""The student's names and objects as the instructor's tests see them.

Plain data is copied (see `wire`). Any other object of the student is a `Handle`: a number that the
student process gave it. **A handle can do what a test needs, and nothing by which an object could
say yes to every question**: it compares by identity, does no arithmetic, and has no items, lengths
or number values of its own. In detail it is

- a function: it can be called;
- a class: it can be called and asked by `isinstance`; a class of exceptions is a real one here;
- an iterator: it gives its items once, as iterators do;
- an instance of a class that the trusted side knows (a Keras model): it has the attributes and
  special methods that this class has, whatever the student's object claims to have;
- an instance of a class that the assignment asks for: it has all its attributes and items, and
  in tests that name the class it does all that it likes, comparing and computing too, because
  that is what is graded. If it compares, the test gets a note;
- anything else: it can be passed on, and called.

Objects of the student that behave like arrays, numbers or lists have become ones in the student
process, once, so that two questions can't get two answers. For the same reason attributes and
global names are asked for once, until the next call.
"""

from __future__ import annotations

import builtins
import collections.abc
import dis
import functools
import inspect
import random
import re
import sys
import types
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from coursekit.grading import testcell, wire
from coursekit.grading.alarm import Alarm, TimeUpError
from coursekit.grading.answers import EmptyAnswer, TypeAnswer
from coursekit.grading.testcell import FROM_STUDENT, safe_text, short

MAX_HANDLES = 100_000  # that are alive at the same time
MAX_BYTES = 1 << 30  # that the student process may send during one test
MAX_CALLBACKS = 10_000
MAX_ERROR = 2000  # characters
NAME = re.compile(r"[^\W\d]\w{0,99}")
# What instances of a known class may be asked for, if the class defines it.
KNOWN_METHODS = ("len", "getitem", "setitem", "delitem", "iter", "enter", "exit")
COMPARING = ("eq", "ne", "lt", "le", "gt", "ge", "contains")
BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "lshift", "rshift")
ARITHMETIC = tuple(
    prefix + name for name in (*BINARY, "and", "or", "xor") for prefix in ("", "r", "i")
)
UNARY = ("neg", "pos", "abs", "invert", "round", "divmod")
VALUES = ("bool", "float", "int", "index", "complex", "hash", "str", "repr", "array")
# What instances of the assignment's own classes may be asked for.
OWN_METHODS = (*KNOWN_METHODS, "next", "reversed", *COMPARING, *ARITHMETIC, *UNARY, *VALUES)
FUNCTION_ATTRIBUTES = (
    *("__wrapped__", "__defaults__", "__kwdefaults__", "__module__", "__qualname__"),
    *("cache_info", "cache_clear", "cache_parameters"),
)
CLASS_ATTRIBUTES = ("__dataclass_fields__", "__module__", "__qualname__")
GENERATOR_METHODS = ("send", "throw", "close")
# Built-in functions that tests replace, to see how the student's code uses them.
# (Not `open`: a stand-in that passes calls on would open files for the student, out of the jail.)
REPLACED = ("input", "print")
# Tables are no arrays: they have names, an index, and missing values.
TABLES = ("pandas", "polars")
REAL = {name: getattr(builtins, name) for name in REPLACED}
IN_PROCESS = "; with --in-process such tests work"
# Classes whose instances are copied: an instance of one that is not copied is a lie.
PLAIN = (int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
COPIED = (*PLAIN, np.ndarray, np.generic, BaseException, types.SimpleNamespace, type)


class LostError(BaseException):
    """The student process is gone or says what it must not; no test may catch it.

    Parameters
    ----------
    why : str
        "died" or "protocol".
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Student:
    """The student process, as the checker sees it.

    Parameters
    ----------
    reader, writer : binary streams
        The channel.
    alarm : Alarm
        The time limit in force.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO, alarm: Alarm) -> None:
        self.channel = wire.Channel(reader, writer, self._serve, alarm.hold)
        self.alarm = alarm
        self.lost: LostError | None = None
        self.roots: set[str] = set()  # top-level packages whose classes may be claimed
        self.trusted: dict[str, Any] = {}  # what trusted cells have bound, in both processes
        self.classes: frozenset[str] = frozenset()  # that the assignment asks for
        self.own: frozenset[str] = frozenset()  # those that the running test names
        self.handles: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
        self.errors: dict[int, type[BaseException]] = {}
        self.complex = True  # whether answers may be complex numbers
        self.notes: list[str] = []
        self.globals = Names(self)
        self.stdin = sys.stdin
        self.begin_test(frozenset())

    def begin_test(self, own: frozenset[str]) -> None:
        """Forget what the test before has passed on; `own` are the classes of this one."""
        self.own = own
        self.callbacks: list[Callable[..., Any]] = []
        self.failures: list[BaseException] = []
        self.random: dict[str, Any] = {}  # what the student process knows of the test's randomness
        self.latest: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None
        self.channel.received = 0
        self.rebound()

    def changed(self) -> None:
        """Forget the answers so far: after a call they may be others."""
        self.answers: dict[tuple[Any, ...], Any] = {}

    # ---- Questions

    def request(self, request: dict[str, Any], encoder: wire.Encoder) -> dict[str, Any]:
        """Send a request and give the reply, undecoded, with the blocks as "blocks".

        Raises
        ------
        LostError
            If there is no proper reply, now and ever after.
        """
        if self.lost:
            raise self.lost
        left = self.alarm.left
        if left is not None:
            request = {**request, "seconds": max(left, 0.05)}
        try:
            reply, blocks = self.channel.ask(request, encoder.blocks)
            if self.channel.received > MAX_BYTES:
                raise wire.WireError("too much data for one test")
        except (EOFError, OSError) as error:
            self.lost = LostError("died")
            raise self.lost from error
        except wire.WireError as error:
            self.lost = LostError("protocol")
            raise self.lost from error
        return {**reply, "blocks": blocks}

    def ask(self, op: str, *arguments: Any, **named: Any) -> Any:
        """Let the student process do something with values; give the result.

        Mutable arguments that it has changed are changed here, too.

        Raises
        ------
        Exception
            What the student's code raised, or `wire.CannotSendError`.
        """
        encoder = wire.Encoder(self._special)
        request: dict[str, Any] = {"op": op, "args": [encoder.encode(a) for a in arguments]}
        if named:
            request["named"] = {name: encoder.encode(value) for name, value in named.items()}
        stand_ins = self._stand_ins()
        if stand_ins:
            request["builtins"] = {name: encoder.encode(f) for name, f in stand_ins.items()}
        reply = self.request(request, encoder)
        self._show(reply.get("printed", ""))
        try:
            special = functools.partial(self._decode, arguments)
            decoder = AnswerDecoder(reply["blocks"], special, self.complex)
            for key, tree in reply.get("changed", ()):
                old = named[key] if type(key) is str else arguments[key]
                replace(old, decoder.decode(tree))
            if "error" in reply:
                error = self._error(reply["error"], decoder)
            else:
                return decoder.decode(reply["ok"])
        except (LostError, wire.AnswerError):
            raise
        except Exception as broken:
            self.lost = LostError("protocol")
            raise self.lost from broken
        if isinstance(error, StopIteration) and op != "next" and arguments[:1] != ("next",):
            # It would end a loop of the test that calls the function, as if all were well.
            raise RuntimeError("the student's code raised StopIteration") from error
        raise error

    def _stand_ins(self) -> dict[str, Callable[..., Any]]:
        """List the functions that the running test has put in the place of built-in ones."""
        found: dict[str, Callable[..., Any]] = {}
        if sys.stdin is not self.stdin:  # what the real one reads is here
            found["input"] = _wrapped(builtins.input)
        for name in REPLACED:
            mine = self.globals.has(name)
            function = self.globals[name] if mine else getattr(builtins, name)
            if function is not REAL[name] and callable(function):
                found[name] = _wrapped(function)
        return found

    def _show(self, text: Any) -> None:
        """Print what the student's code has printed, if the test looks at what is printed."""
        if type(text) is not str:
            self.lost = LostError("protocol")
            raise self.lost
        if text and not isinstance(sys.stdout, testcell.Printed):
            sys.stdout.write(text)

    def once(self, op: str, *arguments: Any) -> Any:
        """Ask, or give the answer that was given since the last call."""
        key = (op, *(a.coursekit_number if isinstance(a, Handle) else a for a in arguments))
        if key in self.functions:
            return self.functions[key]
        if key not in self.answers:
            value = self.ask(op, *arguments)
            # a call hardly ever replaces a function; asking each time would take as long again
            kept = self.functions if isinstance(value, FunctionHandle) else self.answers
            kept[key] = value
            return value
        return self.answers[key]

    def rebound(self) -> None:
        """Forget the functions, too: names of the student have been bound."""
        self.functions: dict[tuple[Any, ...], Any] = {}
        self.changed()

    def call(self, handle: Handle, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a student's object."""
        self.latest = (handle.coursekit_title, arguments, named)
        self.changed()
        self._pass_random()
        try:
            return self.ask("call", handle, *arguments, **named)
        finally:
            self.changed()

    def _pass_random(self) -> None:
        """Let the student's code go on with random numbers that the test has made known to all.

        That is done by a seed written in the test. The grader's own seed stays secret.
        """
        for library in self.random:
            state: Any = random.getstate() if library == "random" else np.random.get_state()  # noqa: NPY002
            if not _same(state, self.random[library]):
                self.random[library] = state
                self.ask("random", library, state)

    def last_call(self) -> str:
        """Describe the latest call."""
        if self.latest is None:
            return ""
        name, arguments, named = self.latest
        parts = [testcell.describe(value) for value in arguments]
        parts += [f"{key}={testcell.describe(value)}" for key, value in named.items()]
        return short(f"{name}({', '.join(parts)})", testcell.MAX_VALUE)

    # ---- What the student process asks: to call a function that a test has passed to it

    def _serve(
        self, request: dict[str, Any], blocks: list[wire.Block]
    ) -> tuple[dict[str, Any], list[wire.Block]]:
        decoder = wire.Decoder(blocks, functools.partial(self._decode, ()))
        if request.get("op") != "callback":
            raise wire.WireError("no such request")
        self._show(request.get("printed", ""))
        number = request.get("number")
        arguments, named = request.get("args"), request.get("named")
        if type(arguments) is not list or type(named) is not dict:
            raise wire.WireError("no call")
        arguments = [decoder.decode(tree) for tree in arguments]
        named = {name: decoder.decode(tree) for name, tree in named.items()}
        encoder = wire.Encoder(self._special)
        try:
            if type(number) is not int or not 0 <= number < len(self.callbacks):
                raise ReferenceError("the test that has passed this function is over")
            if self.channel.nested > wire.MAX_NESTED - 10:
                raise RecursionError("too many calls to and fro")
            result = self.alarm.freely(self.callbacks[number], *arguments, **named)
            return {"ok": encoder.encode(result)}, encoder.blocks
        except LostError:
            raise
        except BaseException as error:
            self.failures.append(error)
            about = {
                "type": reference(type(error)) or "builtins:Exception",
                "text": short(safe_text(error), MAX_ERROR),
                "origin": len(self.failures) - 1,
            }
            return {"error": about}, []

    # ---- Values on their way

    def _special(self, value: Any, encoder: wire.Encoder) -> Any:
        """Write what is no plain data for the student process."""
        return ["special", self._about(value, encoder)]

    def _about(self, value: Any, encoder: wire.Encoder) -> dict[str, Any]:
        if isinstance(value, Handle):
            return {"handle": value.coursekit_number}
        if isinstance(value, type) and (number := vars(value).get("coursekit_number")) is not None:
            return {"handle": number}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        name = reference(value)
        if name:
            return {"ref": name}
        for name, trusted in self.trusted.items():
            if trusted is value:
                return {"name": name}
        if isinstance(value, np.random.Generator):
            return {"generator": encoder.encode(_generator_state(value))}
        if "tensorflow" in sys.modules and hasattr(value, "numpy"):
            return {"tensor": encoder.array(np.asarray(value))}
        if isinstance(value, np.ndarray | np.generic):
            return {"value": encoder.encode(value.tolist())}
        base = next((base for base in PLAIN if isinstance(value, base)), None)
        if base:
            return {"value": encoder.encode(base(value))}
        if callable(value):
            if len(self.callbacks) >= MAX_CALLBACKS:
                raise wire.CannotSendError("the test passes too many functions to the answer")
            self.callbacks.append(value)
            name = getattr(value, "__name__", "function")
            return {"callback": len(self.callbacks) - 1, "title": str(name)}
        raise wire.CannotSendError(
            f"a test can't pass an object of the type {type(value).__name__} to the student's code:"
            " only numbers, texts, lists, arrays, functions and what the student made" + IN_PROCESS
        )

    def _decode(self, arguments: tuple[Any, ...], about: dict[str, Any]) -> Any:
        """Read what is no plain data from the student process."""
        if "argument" in about:  # the very object that was passed
            value = arguments[about["argument"]]
            if not isinstance(value, list | dict | set | bytearray | np.ndarray):
                raise wire.WireError("no such argument")
            return value
        if "dtype" in about:
            if not wire.DTYPE.fullmatch(about["dtype"]):
                raise wire.WireError("no plain type")
            return TypeAnswer(np.dtype(about["dtype"]))
        number, kind, title = about["handle"], about["kind"], about["title"]
        claims = about.get("claims", [])
        if type(number) is not int or type(title) is not str or type(claims) is not list:
            raise wire.WireError("no handle")
        title = title if NAME.fullmatch(title) else "object"
        if kind == "error":
            return self._error_class(number, title, claims)
        handle = self.handles.get(number)
        if handle is None:
            if len(self.handles) >= MAX_HANDLES:
                raise wire.WireError("too many handles")
            handle = self._handle_class(kind, title, claims)(self, number, title, claims)
            self.handles[number] = handle
        return handle

    def _handle_class(self, kind: Any, title: str, claims: list[Any]) -> type[Handle]:
        if kind == "function":
            return FunctionHandle
        if kind == "class":
            return OwnClassHandle if title in self.own else ClassHandle
        if kind in ITERATORS:
            return ITERATORS[kind]
        known = self._known(claims)
        if kind == "own" and title in self.classes:
            plain = next((kind for kind in PLAIN if f"builtins:{kind.__name__}" in claims), None)
            return own_class(title, known or plain, title in self.own)
        return known_class(known) if known else Handle

    def _known(self, claims: list[Any]) -> type | None:
        """Find the class here that an object claims to be of: the first trusted one."""
        for claim in claims[:50]:
            found = self.find(claim)
            if isinstance(found, type) and found.__module__ != "builtins":
                # What would be copied, and `object`, make no handle.
                return None if is_data(found) else found
        return None

    def find(self, claim: Any) -> Any:
        """Find what a text like "package.module:name" names, without importing anything."""
        module, _, name = str(claim).partition(":")
        if module == "__main__":
            return self.trusted.get(name)
        if module == "builtins":
            found = vars(builtins).get(name)
            return found if isinstance(found, type) else None
        if module.partition(".")[0] not in self.roots or module not in sys.modules:
            return None
        found = sys.modules[module]
        for part in name.split("."):
            found = vars(found).get(part) if isinstance(found, type | types.ModuleType) else None
        return found

    # ---- Exceptions

    def _error_class(self, number: int, title: str, claims: list[Any]) -> type[BaseException]:
        """Make a class that stands for a student's class of exceptions."""
        if number not in self.errors:
            if len(self.errors) > 1000:
                raise wire.WireError("too many classes")
            base: type[BaseException] = Exception
            for claim in claims[:50]:
                found = self.find(claim)
                if isinstance(found, type) and issubclass(found, Exception):
                    base = found
                    break
            self.errors[number] = type(
                title,
                (base,),
                {
                    "__init__": lambda self, *a: None,
                    "__str__": lambda self: ", ".join(map(str, self.args)),
                    "__module__": "__main__",
                    "coursekit_number": number,
                },
            )
        return self.errors[number]

    def _error(self, about: Any, decoder: wire.Decoder) -> BaseException:
        """Make the exception that the student's code has raised."""
        origin = about.get("origin")
        if type(origin) is int and 0 <= origin < len(self.failures):
            return self.failures[origin]  # the test's own function has raised it
        text, name = about["text"], about["type"]
        if type(text) is not str or type(name) is not str:
            raise wire.WireError("no error")
        text = short(text, MAX_ERROR)
        if name == "timeup":
            return TimeUpError(text)
        found = vars(builtins).get(name)
        if isinstance(found, type) and issubclass(found, Exception):
            error = _made(found, decoder.decode(about.get("args")), text)
        else:
            kind = decoder.decode(about["class"])
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise wire.WireError("no error")
            error = kind.__new__(kind, text)
            error.args = (text,)
        setattr(error, FROM_STUDENT, True)
        return error


def _wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that crosses as the test's own, whatever it is."""
    return lambda *arguments, **named: function(*arguments, **named)


def _same(state: Any, other: Any) -> bool:
    """Compare states of random generators."""
    return other is not None and all(map(np.array_equal, state, other))


def _made(kind: type[Exception], arguments: Any, text: str) -> Exception:
    """Make a built-in exception, with its own arguments where that is possible."""
    if type(arguments) is tuple:
        try:
            return kind(*arguments)
        except Exception:
            pass
    try:
        error = kind.__new__(kind, text)
    except Exception:
        error = Exception()
    error.args = (text,)
    return error


def _generator_state(generator: np.random.Generator) -> Any:
    """Give a generator's state; it then jumps ahead, so that nobody can know what it draws next."""
    bits = generator.bit_generator
    state = bits.state
    if not hasattr(bits, "jumped"):
        raise wire.CannotSendError("a test can't pass this random generator to the student's code")
    after = bits.jumped().state
    bits.state = after
    return state


def is_data(kind: type) -> bool:
    """Tell whether instances of a class are copied, or would behave like data."""
    array = hasattr(kind, "__array__") and not kind.__module__.startswith(TABLES)
    return kind is object or issubclass(kind, COPIED) or array


def reference(value: Any) -> str | None:
    """Name a function, class or module that any process can import; None for anything else."""
    if isinstance(value, types.ModuleType):
        return f"{value.__name__}:" if sys.modules.get(value.__name__) is value else None
    if isinstance(value, np.ufunc):
        name: Any = value.__name__
        module: Any = "numpy"
    else:
        name = getattr(value, "__qualname__", None)
        module = getattr(value, "__module__", None)
    if type(name) is not str or type(module) is not str or module == "__main__":
        return None
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return f"{module}:{name}" if found is value else None


def replace(old: Any, new: Any) -> None:
    """Make an argument what the student's function has made of it, in place.

    What has changed its type or its shape stays as it was.
    """
    if isinstance(old, np.ndarray):
        fits = isinstance(new, np.ndarray) and old.shape == new.shape and old.dtype == new.dtype
        if fits and old.flags.writeable:
            old[...] = new
    elif type(old) is not type(new):
        return
    elif isinstance(old, list | tuple) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            if _mutable(before) and type(before) is type(after):
                replace(before, after)
            elif isinstance(old, list):
                old[index] = after
    elif isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set):
        for key in [key for key in old if key not in new]:
            old.pop(key) if isinstance(old, dict) else old.discard(key)
        if isinstance(old, set):
            old.update(new)
            return
        for key, after in new.items():
            if key in old and _mutable(old[key]) and type(old[key]) is type(after):
                replace(old[key], after)
            else:
                old[key] = after


def _mutable(value: Any) -> bool:
    mutable = isinstance(value, list | tuple | dict | set | bytearray | np.ndarray)
    return mutable and not isinstance(value, Handle)


class AnswerDecoder(wire.Decoder):
    """Makes values of a reply; see `answers`.

    Parameters
    ----------
    blocks, special
        As for `wire.Decoder`.
    complex_numbers : bool
        Whether answers may be complex.
    """

    def __init__(self, blocks: list[wire.Block], special: Any, complex_numbers: bool) -> None:
        super().__init__(blocks, special)
        self.complex_numbers = complex_numbers

    def array(self, content: list[Any]) -> np.ndarray:
        """Make an array."""
        made = super().array(content)
        if made.dtype.kind == "c" and not self.complex_numbers:
            raise wire.AnswerError("the answer has complex numbers")
        return made if made.size else made.view(EmptyAnswer)

    def complex(self, content: list[Any]) -> complex:
        """Make a complex number."""
        if not self.complex_numbers:
            raise wire.AnswerError("the answer is a complex number")
        return super().complex(content)


# ---- Handles


class Handle:
    """An object of the student process."""

    coursekit_class: type | None = None  # the trusted class that it is an instance of
    coursekit_student: Student
    coursekit_number: int
    coursekit_title: str
    coursekit_claim: str | None  # the first class, or the function, that it claims to be

    def __init__(self, student: Student, number: int, title: str, claims: Iterable[Any]) -> None:
        vars(self).update(  # past __setattr__, which asks the student
            coursekit_student=student,
            coursekit_number=number,
            coursekit_title=title,
            coursekit_claim=next(iter(claims), None),
        )

    @property
    def __class__(self) -> type:
        return self.coursekit_class or type(self)

    @__class__.setter
    def __class__(self, kind: type) -> None:
        raise TypeError("an answer keeps its class")

    def __repr__(self) -> str:
        return f"<{self.coursekit_title} of the student>"

    def __array_function__(self, *_: Any) -> Any:
        raise TypeError(f"NumPy can't compute with this answer: {self!r}{IN_PROCESS}")

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"NumPy can't compute with this answer: {self!r}{IN_PROCESS}")

    def __bool__(self) -> bool:
        return True


class FunctionHandle(Handle):
    """A function of the student."""

    coursekit_class: type = types.FunctionType

    @property
    def __name__(self) -> str:
        return self.coursekit_title

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self.coursekit_student.once("attribute", self, "__doc__")

    @property
    def __signature__(self) -> inspect.Signature:
        about = self.coursekit_student.once("about", self)
        annotation = self._annotation
        parameters = [
            inspect.Parameter(
                name,
                inspect._ParameterKind(kind),
                default=default[0] if default else inspect.Parameter.empty,
                annotation=annotation(text),
            )
            for name, kind, default, text in about["parameters"]
        ]
        return inspect.Signature(parameters, return_annotation=annotation(about["returned"]))

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        signature = self.__signature__
        found = {name: p.annotation for name, p in signature.parameters.items()}
        found["return"] = signature.return_annotation
        return {n: kind for n, kind in found.items() if kind is not inspect.Parameter.empty}

    @property
    def __code__(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(**self.coursekit_student.once("about", self)["code"])

    def _annotation(self, text: tuple[str, ...]) -> Any:
        if not text:
            return inspect.Parameter.empty
        if text[0] == "builtins:NoneType":
            return None
        found = self.coursekit_student.find(text[0])
        return found if isinstance(found, type) else text[0].partition(":")[2] or text[0]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Let the student process call it."""
        return self.coursekit_student.call(self, arguments, named)

    def __eq__(self, other: Any) -> Any:
        """Tell whether it is the same function, or says to be that function of a library."""
        return self is other or (
            self.coursekit_claim is not None and reference(other) == self.coursekit_claim
        )

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTION_ATTRIBUTES:
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return self.coursekit_student.once("attribute", self, name)


class ClassHandle(FunctionHandle):
    """A class of the student."""

    coursekit_class = type

    @property
    def __bases__(self) -> tuple[Any, ...]:
        return self.coursekit_student.once("attribute", self, "__bases__")

    def __mro_entries__(self, bases: Any) -> Any:
        raise TypeError(f"a test can't derive a class from the student's {self!r}{IN_PROCESS}")

    def __eq__(self, other: Any) -> Any:
        """Tell whether it is the same class, or the class of handles of its instances."""
        if isinstance(other, type) and issubclass(other, OwnHandle):
            return other.__name__ == self.coursekit_title
        return super().__eq__(other)

    __hash__ = object.__hash__

    def __instancecheck__(self, value: Any) -> bool:
        return (
            isinstance(value, Handle)
            and self.coursekit_student.once("isinstance", value, self) is True
        )

    def __subclasscheck__(self, value: Any) -> bool:
        return isinstance(value, ClassHandle) and (
            self.coursekit_student.once("issubclass", value, self) is True
        )


class OwnClassHandle(ClassHandle):
    """A class that the assignment asks for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in CLASS_ATTRIBUTES:
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return self.coursekit_student.once("attribute", self, name)


class IteratorHandle(Handle):
    """An iterator of the student: it can be gone through once."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.coursekit_student.ask("next", self)


class GeneratorHandle(IteratorHandle):
    """A generator of the student."""

    coursekit_class = types.GeneratorType

    def __getattr__(self, name: str) -> Any:
        if name not in GENERATOR_METHODS:
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return self.coursekit_student.once("attribute", self, name)


class CoroutineHandle(Handle, collections.abc.Coroutine[Any, Any, Any]):
    """What an asynchronous function of the student gives: to be awaited once.

    It runs in the student process until it is done; others here wait for it.
    """

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.coursekit_student.ask("await", self)
        yield

    def send(self, value: Any) -> Any:
        """Run it."""
        raise StopIteration(self.coursekit_student.ask("await", self))

    def throw(self, *error: Any) -> Any:
        """Give it up."""
        raise error[0]

    def close(self) -> None:
        """Nothing is left to do."""


ITERATORS: dict[Any, type[Handle]] = {
    "iterator": IteratorHandle,
    "generator": GeneratorHandle,
    "coroutine": CoroutineHandle,
}


class KnownHandle(Handle):
    """An instance of a class that the checker knows, too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in attributes(self.coursekit_class):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return self.coursekit_student.once("attribute", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.coursekit_student.rebound()
        self.coursekit_student.ask("setattr", self, name, value)


class OwnHandle(KnownHandle):
    """An instance of a class that the assignment asks for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        return self.coursekit_student.once("attribute", self, name)

    def __delattr__(self, name: str) -> None:
        self.coursekit_student.rebound()
        self.coursekit_student.ask("delattr", self, name)

    def __array_function__(self, function: Any, _: Any, arguments: Any, named: Any) -> Any:
        return function(*_as_arrays(arguments), **named)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        return getattr(ufunc, method)(*_as_arrays(inputs), **named)


def _as_arrays(values: Iterable[Any]) -> list[Any]:
    return [np.asarray(v.__array__()) if isinstance(v, OwnHandle) else v for v in values]


def _forward(name: str, note: bool) -> Callable[..., Any]:
    """Make a special method that asks the student's object."""

    def method(self: Handle, *arguments: Any) -> Any:
        if note:
            text = f"The student's class {self.coursekit_title} compares by itself."
            if text not in self.coursekit_student.notes:
                self.coursekit_student.notes.append(text)
        if name == "array":
            arguments = ()
        if name == "exit":
            arguments = (None, None, None)
        try:
            return self.coursekit_student.ask("special", name, self, *arguments)
        finally:
            self.coursekit_student.changed()

    method.__name__ = f"__{name}__"
    return method


def _call(self: Handle, *arguments: Any, **named: Any) -> Any:
    return self.coursekit_student.call(self, arguments, named)


@functools.cache
def own_class(title: str, known: type | None, named: bool) -> type[Handle]:
    """Make the class of handles for instances of one of the assignment's own classes.

    In a test that does not name the class, they do not compare, compute, or count as values: it
    may be a test of something else.
    """
    names = OWN_METHODS if named else KNOWN_METHODS
    methods = {f"__{name}__": _forward(name, note=name in COMPARING) for name in names}
    return type(title, (OwnHandle,), {**methods, "__call__": _call, "coursekit_class": known})


@functools.cache
def known_class(known: type) -> type[Handle]:
    """Make the class of handles for instances of a class that the checker knows."""
    methods = {
        f"__{name}__": _forward(name, note=False)
        for name in KNOWN_METHODS
        if hasattr(known, f"__{name}__")
    }
    if hasattr(known, "__call__"):  # noqa: B004  # instances, not the class
        methods["__call__"] = _call
    return type(known.__name__, (KnownHandle,), {**methods, "coursekit_class": known})


@functools.cache
def attributes(known: type | None) -> frozenset[str]:
    """List the attributes that instances of a class have: those of the class, and those it sets."""
    if known is None:
        return frozenset()
    found = set(dir(known))
    for base in known.__mro__:
        found.update(getattr(base, "__annotations__", ()))
        for member in vars(base).values():
            function = getattr(member, "__func__", member)
            function = getattr(function, "__wrapped__", function)
            if isinstance(function, types.FunctionType):
                found.update(
                    step.argval
                    for step in dis.get_instructions(function)
                    if step.opname == "STORE_ATTR"
                )
    return frozenset(found)


# ---- Names


class Names(dict[str, Any]):
    """The globals of the tests: whose a name is decides who is asked for it.

    - A name that the assignment lets the student's cells bind is the student's (`theirs`): reading
      asks the student process. Deleting it, or replacing it by a function, crosses: a test may
      take a function away and see who misses it. Other values that a test binds to such a name
      stay here: they may be the test's own results, which the student's code must not find.
    - What imports, trusted cells and tests bind is trusted, kept here, and never crosses.
    - Built-in names are the real ones, unless they are the student's by the first rule.
    - A name that a test or a read-only cell should have bound, but has not, is nobody's.
    - Any other name is asked of the student.

    Parameters
    ----------
    student : Student
        Who is asked.
    """

    def __init__(self, student: Student) -> None:
        super().__init__(__name__="__main__", __builtins__=builtins)
        self.student = student
        self.theirs: set[str] = set()
        self.shared: set[str] = set()  # names that have been the student's at any time
        self.kept: set[str] = set()  # that read-only cells and tests bind: else never the student's

    def give(self, names: Iterable[str]) -> None:
        """Make names the student's."""
        for name in names:
            if not name.startswith("__"):
                self.pop(name, None)
                self.theirs.add(name)
                self.shared.add(name)
        self.student.rebound()

    def __missing__(self, name: str) -> Any:
        if name not in self.theirs and (
            hasattr(builtins, name)
            or name.startswith("__")
            or (name in self.kept and name not in self.shared)
        ):
            raise KeyError(name)
        try:
            return self.student.once("get", name)
        except NameError as error:
            # `sum`, if that is the task, is not Python's own
            if not self.student.lost and not hasattr(builtins, name):
                raise KeyError(name) from error
            raise

    def has(self, name: str) -> bool:
        """Tell whether a name is bound here."""
        return super().__contains__(name)

    def __contains__(self, name: object) -> bool:
        """Tell a test that looks into ``globals()`` whether there is a name."""
        try:
            self[str(name)]
        except KeyError:
            return False
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """Give a name's value as ``globals().get`` does."""
        try:
            return self[name]
        except KeyError:
            return default

    def __setitem__(self, name: str, value: Any) -> None:
        handle = isinstance(value, Handle) or (
            isinstance(value, type) and "coursekit_number" in vars(value)
        )
        if name in self.shared and (handle or callable(value)):
            self.student.rebound()
            self.student.ask("set", name, value)
        if handle and name in self.shared:
            self.pop(name, None)
            self.theirs.add(name)
            return
        self.theirs.discard(name)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        here = self.has(name)
        if here:
            super().__delitem__(name)
        if name in self.theirs or (name in self.shared and here):
            self.theirs.add(name)
            self.student.rebound()
            try:
                self.student.ask("delete", name)
            except NameError as error:
                if not here:
                    raise KeyError(name) from error
        elif not here:
            raise KeyError(name)
