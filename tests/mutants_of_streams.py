"""Mutants that are wrong only one step at a time, or skip its work."""

from __future__ import annotations

from typing import Any

import numpy as np
from mutants import Model

from backends.numpy.backend import NumpyBackend, NumpyModel
from backends.numpy.net import Arrays

Advanced = tuple[Any, Any]


class CarryDropped(Model):
    """Each step starts from zeros."""

    def advance(self, carry: Arrays, x: np.ndarray) -> Advanced:
        return self._correct.advance(self._correct.begin(None, len(x)), x)


class CarryOfAnother(Model):
    """One state inside, as in a stateful layer: that of the stream which advanced last."""

    held: Arrays | None = None

    def begin(self, state: Any, batch_size: int) -> Any:
        self.held = self._correct.begin(state, batch_size)
        return self.held

    def advance(self, carry: Arrays, x: np.ndarray) -> Advanced:
        self.held, output = self._correct.advance(self.held, x)
        return self.held, output


class HalfOfAnother(Model):
    """The second of an LSTM's states is that of the stream which advanced last."""

    held: np.ndarray | None = None

    def advance(self, carry: Arrays, x: np.ndarray) -> Advanced:
        if self.held is not None:
            carry = {**carry, "l0.fwd.c0": self.held}
        carry, output = self._correct.advance(carry, x)
        self.held = carry["l0.fwd.c0"].copy()
        return carry, output


class ComputedAhead(Model):
    """Two steps in a call: the given one, and that of the input which was placed after it."""

    def place_input(self, x: np.ndarray) -> Any:
        placed = self._correct.place_input(x)
        known: list[Any] = self.__dict__.setdefault("placed", [])
        known.append(placed)
        return len(known) - 1, placed

    def begin(self, state: Any, batch_size: int) -> Any:
        return self._correct.begin(state, batch_size), None

    def advance(self, carry: Any, x: Any) -> Advanced:
        (states, ahead), (number, placed) = carry, x
        if ahead is not None:
            return (states, None), ahead
        states, output = self._correct.advance(states, placed)
        states, ahead = self._correct.advance(states, self.placed[(number + 1) % len(self.placed)])
        return (states, ahead), output

    def to_host(self, result: Any) -> Any:
        if isinstance(result, tuple) and result[0] is not None:
            result = result[0][0], result[1]
        return self._correct.to_host(result)


class ComputedWhilePlacing(Model):
    """The steps are computed as their inputs are placed."""

    states: Arrays | None = None

    def place_input(self, x: np.ndarray) -> Any:
        states = self.states or self._correct.begin(None, len(x))
        self.states, output = self._correct.advance(states, self._correct.place_input(x))
        return {name: state.copy() for name, state in self.states.items()}, output

    def advance(self, carry: Any, x: Any) -> Advanced:
        return x


class ResetIgnored(Model):
    """A stream that begins anew goes on."""

    def advance(self, carry: Arrays, x: np.ndarray) -> Advanced:
        result = self._correct.advance(carry, x)
        self.last = result[0]
        return result

    def begin(self, state: Any, batch_size: int) -> Any:
        last = self.__dict__.get("last")
        if last is None:
            return self._correct.begin(state, batch_size)
        return {name: value.copy() for name, value in last.items()}


class StateIgnored(Model):
    """A stream begins with zeros, whatever it is given."""

    def begin(self, state: Any, batch_size: int) -> Any:
        return self._correct.begin(None, batch_size)


class OneStepLate(Model):
    """The output of a step comes with the next one."""

    def begin(self, state: Any, batch_size: int) -> Any:
        return self._correct.begin(state, batch_size), None

    def advance(self, carry: Any, x: np.ndarray) -> Advanced:
        states, late = carry
        states, output = self._correct.advance(states, x)
        return (states, output), np.zeros_like(output) if late is None else late

    def to_host(self, result: Any) -> Any:
        if isinstance(result, tuple) and result[0] is not None:
            result = result[0][0], result[1]
        return self._correct.to_host(result)


class OldParameters(Model):
    """Steps are computed with the parameters that it was built with."""

    def __init__(self, correct: NumpyModel) -> None:
        super().__init__(correct)
        spec, params = correct._spec, correct.params()
        name = correct._dtype.name
        self._first = NumpyBackend().build(spec, params, device="cpu", dtype=name)
        self.advance = self._first.advance


class Remembering(Model):
    """An output is looked up by the input, once it was computed with it."""

    def place_input(self, x: np.ndarray) -> Any:
        return self._correct.place_input(x), {}

    def advance(self, carry: Arrays, x: Any) -> Advanced:
        placed, known = x
        if "output" not in known:
            carry, known["output"] = self._correct.advance(carry, placed)
        return carry, known["output"]


class Lazy(Model):
    """A call keeps its input; the steps are computed when a result is read."""

    def __init__(self, correct: Any) -> None:
        super().__init__(correct)
        self.carries: list[dict[str, Any]] = []

    def begin(self, state: Any, batch_size: int) -> Any:
        self.carries.append({"states": self._correct.begin(state, batch_size), "waiting": []})
        return self.carries[-1]

    def advance(self, carry: Any, x: Any) -> Advanced:
        carry["waiting"].append(x)
        return carry, carry

    def compute(self, carry: Any) -> None:
        for x in carry["waiting"]:
            carry["states"], carry["output"] = self._correct.advance(carry["states"], x)
        carry["waiting"].clear()

    def load(self, params: Any) -> None:
        for carry in self.carries:
            self.compute(carry)
        self.carries.clear()
        self._correct.load(params)

    def to_host(self, result: Any) -> Any:
        if not isinstance(result, tuple):
            return self._correct.to_host(result)
        carry = result[1]
        self.compute(carry)
        return self._correct.to_host((result[0] and carry["states"], carry["output"]))


WRONG: dict[str, type[Model]] = {
    "the carry dropped": CarryDropped,
    "the carry of another stream": CarryOfAnother,
    "half of the carry of another stream": HalfOfAnother,
    "a step computed ahead": ComputedAhead,
    "steps computed while placing": ComputedWhilePlacing,
    "reset ignored": ResetIgnored,
    "the given state ignored": StateIgnored,
    "the output one step late": OneStepLate,
    "old parameters": OldParameters,
    "outputs remembered": Remembering,
}
