"""Checks that a third-party object has the members of the contract, with the right signatures.

The contract is read from `backends.interface`. A fault names what was expected and what was found.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from backends import features, interface
from backends.interface import PHASES
from backends.plugins.errors import ContractError
from backends.plugins.sanitize import first_line, plain
from tasks.spec import ModelSpec, OptimizerSpec, Params

NEEDED = ("environment", "refusal", "versions", "devices", "build")
OF_TRAINING = ("optimizer",)  # needed unless train_step is refused
OPTIONAL: Mapping[str, inspect.Signature] = {
    "supports": inspect.signature(lambda feature, spec, *, device, dtype: None),
    "threads": inspect.signature(lambda: None),
    "peak_bytes": inspect.signature(lambda device: None),
    "stopwatch": inspect.signature(lambda device: None),
}
OF_A_MODEL = ("load", "place", "sync", "to_host", "params", "path")
OF_A_FEATURE = {  # further members of a model
    "stream": ("begin", "place_input", "advance"),
    "stateful": ("begin", "train_chunk"),
}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WIDEST = 200  # characters of a third-party signature or value in a message


def backend_faults(backend: object, name: str) -> list[str]:
    """A message for each member that is missing or cannot be called."""
    faults = []
    members = {member: signature(interface.Backend, member) for member in (*NEEDED, *OF_TRAINING)}
    for member, expected in {**members, **OPTIONAL}.items():
        fault = _fault(backend, member, expected, needed=member in NEEDED)
        if fault is not None:
            faults.append(fault)
    own, problem = _get(backend, "name")
    if problem is not None:
        faults.append(f"{problem}; expected name = {name!r}")
    elif own != name:
        faults.append(f"has name = {plain(repr(own), _WIDEST)}; expected name = {name!r}")
    return faults


def model_faults(
    model: object, refuses: Callable[[str], bool], offers: Callable[[str], bool]
) -> list[str]:
    """The same for the result of `build`.

    A phase may be missing if `refuses(phase)`, and what a feature needs unless `offers(feature)`.
    """
    faults = []
    for member in (*OF_A_MODEL, *PHASES):
        fault = _fault(model, member, signature(interface.Model, member), needed=True)
        if fault is not None and not (member in PHASES and refuses(member)):
            faults.append(fault + (", or a refusal of that phase" if member in PHASES else ""))
    for feature in filter(offers, OF_A_FEATURE):
        for member in OF_A_FEATURE[feature]:
            fault = _fault(model, member, signature(interface.Model, member), needed=True)
            if fault is not None:
                faults.append(f"{fault}, or a reason of `supports` against {feature}")
    return faults


def signature(protocol: type, member: str) -> inspect.Signature:
    """The signature with which the harness calls it: "(spec, *, device, dtype, phase)"."""
    found = inspect.signature(getattr(protocol, member))
    return _bare(found, [p for p in found.parameters.values() if p.name != "self"])


def _bare(found: inspect.Signature, parameters: list[inspect.Parameter]) -> inspect.Signature:
    """Without annotations."""
    empty = inspect.Parameter.empty
    return found.replace(
        parameters=[p.replace(annotation=empty) for p in parameters],
        return_annotation=inspect.Signature.empty,
    )


def _get(thing: object, member: str) -> tuple[Any, str | None]:
    """An attribute, or why it cannot be read."""
    try:
        return getattr(thing, member), None
    except AttributeError:
        return None, f"lacks `{member}`"
    except Exception as error:  # a third-party property may raise anything
        return None, f"raises {first_line(error)} when `{member}` is read"


def _fault(thing: object, member: str, expected: inspect.Signature, *, needed: bool) -> str | None:
    value, problem = _get(thing, member)
    if problem is not None:
        absent = problem == f"lacks `{member}`"
        return None if absent and not needed else f"{problem}; expected {member}{expected}"
    if not callable(value):
        kind = type(value).__name__
        return f"has {plain(kind, _WIDEST)} as `{member}`; expected {member}{expected}"
    try:
        theirs = inspect.signature(value)
    except (TypeError, ValueError):
        return None  # compiled code may have no signature
    parameters = expected.parameters.values()
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    try:
        theirs.bind(*[None] * (len(parameters) - len(by_name)), **dict.fromkeys(by_name))
    except TypeError as error:
        lacking = [name for name in by_name if not _takes(theirs, name)]
        why = f"lacks {_quoted(lacking)}" if lacking else f"has other arguments: {plain(error)}"
        own = plain(_bare(theirs, list(theirs.parameters.values())), _WIDEST)
        return f"{member}{own} {why}; expected {member}{expected}"
    return None


def _takes(theirs: inspect.Signature, name: str) -> bool:
    kinds = {p.name: p.kind for p in theirs.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds.values():
        return True
    return kinds.get(name) in (
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )


def _quoted(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


class Checked:
    """A third-party backend whose models are checked before they are used."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, member: str) -> Any:
        return getattr(self._backend, member)

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> Any:
        """Raises ContractError if a member of the model is missing or cannot be called."""
        options = {"device": device, "dtype": dtype}
        model = self._backend.build(spec, params, **options, optimizer=optimizer)

        def refuses(phase: str) -> bool:
            return self._backend.refusal(spec, **options, phase=phase) is not None

        def offers(feature: str) -> bool:
            return features.supports(self._backend, feature=feature, spec=spec, **options) is None

        if faults := model_faults(model, refuses, offers):
            kind = plain(type(model).__name__, _WIDEST)
            raise ContractError(f"the {kind} that `build` returns {'; '.join(faults)}")
        return model


def answer(backend: Any, member: str, given: dict[str, Any]) -> Any:
    """The result of a pure member as plain values; raises ContractError for an invalid result."""
    if member == "environment":
        return _variables(backend.environment(**given))
    if member in ("refusal", "supports"):
        spec = ModelSpec(**given.pop("spec"))
        if member == "refusal":
            reason = backend.refusal(spec, **given)
        else:
            reason = features.supports(backend, spec=spec, **given)
        if reason is not None and not isinstance(reason, str):
            raise _unfit(member, reason, "a reason in words, or None")
        return None if reason is None else plain(reason) or "no reason is given"
    if not hasattr(backend, member):
        raise ContractError(
            f"lacks `{member}`; expected {member}{signature(interface.Backend, member)}, or a "
            "refusal of train_step"
        )
    declared = backend.optimizer(OptimizerSpec(**given["spec"]))
    if not isinstance(declared, OptimizerSpec):
        raise _unfit(member, declared, "an OptimizerSpec, the given one or a changed copy")
    return asdict(declared)


def _variables(found: Any) -> dict[str, str]:
    if not isinstance(found, Mapping):
        raise _unfit("environment", found, "a mapping of names to strings")
    for name, value in found.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise _unfit("environment", name, "names of environment variables")
        if not isinstance(value, str) or "\0" in value:
            raise _unfit(f"environment[{name!r}]", value, "a string")
    return dict(found)


def _unfit(member: str, came: object, expected: str) -> ContractError:
    kind = type(came).__name__
    return ContractError(
        f"`{member}` returns {plain(repr(came), _WIDEST)} ({plain(kind, _WIDEST)}); "
        f"expected {expected}"
    )
