"""Backends for `rnnbench check` to judge: the numpy backend, with one thing said or done wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mutants_of_the_cell import swapped
from mutations import Mutant, Mutation

from backends.numpy.backend import NumpyBackend
from tasks.spec import ModelSpec


class Named(NumpyBackend):
    """Correct, but for the members given."""

    def __init__(self, name: str, **members: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        for member, made in members.items():
            setattr(self, member, made)


def one_cell() -> Named:
    def refusal(spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if spec.cell != "rnn_tanh" or spec.num_layers > 1 or spec.vocab_size is not None:
            return "it has the vanilla RNN of one layer alone"
        return None if phase == "forward" else "it only goes forward"

    return Named("one-cell", refusal=refusal)


def no_cell() -> Named:
    return Named("no-cell", refusal=lambda spec, **_: "not today")


def nowhere() -> Named:
    def devices() -> Sequence[str]:
        return ("tpu",)

    def versions() -> Mapping[str, str]:
        return {}

    return Named("nowhere", devices=devices, versions=versions)


def gates_swapped() -> Mutant:
    return Mutant("gates-swapped", Mutation(into=swapped(1, 2), out=swapped(1, 2)))


def pathless() -> Mutant:
    def silent(model: Any) -> Any:
        model.path = lambda: ""
        return model

    mutant = Mutant("pathless", Mutation())
    build = mutant.build
    mutant.build = lambda *args, **options: silent(build(*args, **options))  # type: ignore[method-assign]
    return mutant


ENTRY_POINTS = {
    name: f"checked:{name.replace('-', '_')}"
    for name in ("one-cell", "no-cell", "nowhere", "gates-swapped", "pathless")
}
