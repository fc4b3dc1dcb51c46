"""Finds `my_module:net` in the user's code, and says what goes wrong in it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from backends import registry
from bench.config import validation
from bench.records import provenance

TARGET = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
HERE = [Path()]  # the folder of the user's code
OURS = ("tasks", "backends", "bench")  # names that a user's own modules may have too


class TargetError(ValueError):
    """There is no net; the message says why."""


def split(target: str) -> tuple[str, str]:
    """The module and the name of "my_module:net". Raises ValueError for anything else."""
    found = TARGET.fullmatch(target)
    if not found or found[1].endswith(".py"):
        raise ValueError(
            f"{target!r} is no net; expected my_module:net, the name of a module without .py and a "
            "name in it"
        )
    return found[1], found[2]


def find(target: str) -> Any:
    """The net: what stands there, or what it returns if it is a class or a function.

    The current folder comes first among those that modules are imported from. Raises TargetError.
    """
    module, name = split(target)
    HERE[:] = [Path.cwd()]  # the user's code may go to another folder
    sys.path.insert(0, str(Path.cwd()))
    with _own_names():
        with _faults(f"{module} {{}} while it is imported", missing=module):
            there = _imported(module)
        try:
            net = getattr(there, name)
        except AttributeError as error:
            public = [each for each in vars(there) if not each.startswith("_")]
            near = validation.did_you_mean(name, public)
            raise TargetError(f"{module} has no {name}{near}") from error
        if registry.reader(net) is None and _is_maker(net):
            _expect_no_arguments(target, net)
            with _faults(f"{target} {{}} when it is called"):
                net = net()
    if registry.reader(net) is None:
        kind = type(net)
        where = "" if kind.__module__ == "builtins" else f" of {kind.__module__.partition('.')[0]}"
        raise TargetError(
            f"{target} is of the type {kind.__name__}{where}; expected a torch Module or a Keras "
            "model, or a class or function that makes one"
        )
    return net


def _imported(module: str) -> Any:
    """The module; the one in this folder if a module of Python's, already loaded, has its name."""
    top, _, below = module.partition(".")
    places = (Path.cwd() / f"{top}.py", Path.cwd() / top / "__init__.py")
    file = next((path for path in places if path.is_file()), None)
    if file is None or (top not in sys.modules and top not in sys.builtin_module_names):
        return importlib.import_module(module)
    there = f"_own_{top}"  # another name: the other module is still needed
    folder = [str(file.parent)] if file.name == "__init__.py" else None
    found = importlib.util.spec_from_file_location(there, file, submodule_search_locations=folder)
    assert found is not None
    assert found.loader is not None
    sys.modules[there] = made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return importlib.import_module(f"{there}.{below}") if below else made


@contextmanager
def _own_names() -> Iterator[None]:
    """Take our own packages out of the way of those of the user."""

    def taken() -> dict[str, Any]:
        names = [name for name in sys.modules if name.partition(".")[0] in OURS]
        return {name: sys.modules.pop(name) for name in names}

    ours = taken()
    try:
        yield
    finally:
        taken()
        sys.modules.update(ours)


def _is_maker(found: Any) -> bool:
    return inspect.isclass(found) or inspect.isroutine(found) or isinstance(found, partial)


def _expect_no_arguments(target: str, make: Callable[..., Any]) -> None:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # a class or function in C without a signature
        return
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if needed:
        raise TargetError(
            f"{target} needs the arguments {', '.join(needed)}; expected a net, or a function "
            "without arguments that makes one"
        )


@contextmanager
def _faults(what: str, missing: str = "") -> Iterator[None]:
    """Make a TargetError of whatever the user's code raises; `missing` is a module it may lack."""
    try:
        yield
    except SystemExit as error:
        status = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
        raise TargetError(what.format(f"ends its process with status {status}")) from error
    except BaseException as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and absent and (missing == absent or missing.startswith(f"{absent}.")):
            near = validation.did_you_mean(missing, (path.stem for path in Path().glob("*.py")))
            raise TargetError(
                f"there is no module {missing} in this folder, nor is one installed{near}"
            ) from error
        words = provenance.without_paths(registry.first_line(error))
        if isinstance(error, SyntaxError):
            words = f"{type(error).__name__}: {error.msg}"  # without its place
        raise TargetError(f"{what.format(f'raises {words}')} ({_place(error)})") from error


def _place(error: BaseException) -> str:
    """ "my_module.py, line 3": where the user's code raised, without the folders above it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and Path(frame.filename) != Path(__file__)
    ]
    own = [frame for frame in frames if _is_own(frame.filename)]
    if not frames:
        return "in no file"
    frame = (own or frames)[-1]
    return f"{_short(frame.filename)}, line {frame.lineno}"


def _is_own(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(HERE[0]) and "site-packages" not in path.parts


def _short(file: str) -> str:
    return str(Path(file).relative_to(HERE[0])) if _is_own(file) else Path(file).name
