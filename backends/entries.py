"""What is known of a variant without importing it, and the table of those that are built in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec

from backends import apart


@dataclass(frozen=True)
class Entry:
    """Where a variant comes from. `modules` must be importable before it can run."""

    name: str
    target: str  # "package.module:factory"; empty where another environment knows it
    modules: tuple[str, ...] = ()
    extra: str = ""  # of our own pyproject, for the install command
    default: bool = True  # in a run that names no backend
    origin: str = "built in"
    plugin: bool = False  # a stranger's: never imported into the process of a run
    runs: str = ""  # what it is called in an environment of its own
    python: str = ""  # the interpreter of that environment
    problem: str = ""  # why it cannot be used at all
    ambiguous: bool = False  # there are several of this name
    slow_build: bool = False  # compiles for many seconds a model: left out of long series of them

    @property
    def own_environment(self) -> bool:
        return bool(self.runs)

    @property
    def interpreter(self) -> str:
        return self.python or sys.executable

    @property
    def backend(self) -> str:
        """What it is called in its interpreter."""
        return self.runs or self.name

    @property
    def asked_apart(self) -> bool:
        return self.plugin or self.own_environment

    def absent(self) -> list[str]:
        """Modules that it needs and this interpreter does not find."""
        return [module for module in self.modules if find_spec(module) is None]

    def missing(self) -> str | None:
        """Why it cannot run, with what to do about it; None where nothing is known against it."""
        if self.problem:
            return self.problem
        if self.asked_apart:
            return apart.problem(self)
        absent = self.absent()
        if not absent:
            return None
        command = f'pip install -e ".[{self.extra}]" -c constraints.txt'
        return f"{' and '.join(absent)} is not installed; install with: {command}"


BUILT_IN: tuple[Entry, ...] = (
    Entry("numpy", "backends.numpy_backend:numpy_backend"),
    Entry("torch", "backends.torch_backend:torch_nn", ("torch",), "torch"),
    Entry(
        "keras-tensorflow",
        "backends.keras_backend:keras_tensorflow",
        ("keras", "tensorflow"),
        "tensorflow",
    ),
    Entry(
        "keras-tensorflow-jit",
        "backends.keras_backend:keras_tensorflow_jit",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry("keras-jax", "backends.keras_backend:keras_jax", ("keras", "jax"), "keras,jax"),
    Entry("keras-torch", "backends.keras_backend:keras_torch", ("keras", "torch"), "keras,torch"),
    Entry("jax", "backends.jax_backend:jax_scan", ("jax",), "jax"),
    Entry("flax", "backends.flax_backend:flax_nnx", ("jax", "flax"), "jax"),
    # A time loop in Python is what the notes teach, not what anyone should race.
    Entry(
        "torch-cell", "backends.torch_cell_backend:torch_cell", ("torch",), "torch", default=False
    ),
    # What an option of a framework changes; each is a variant of its own.
    Entry("jax-unrolled", "backends.jax_backend:jax_unrolled", ("jax",), "jax", default=False),
    Entry(
        "flax-linen",
        "backends.flax_linen_backend:flax_linen",
        ("jax", "flax"),
        "jax",
        default=False,
    ),
    Entry(
        "keras-tensorflow-train_on_batch",
        "backends.keras_train_on_batch:keras_tensorflow_train_on_batch",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry(
        "torch-compile",
        "backends.torch_compile_backend:torch_compile",
        ("torch",),
        "torch",
        default=False,
        slow_build=True,
    ),
)
