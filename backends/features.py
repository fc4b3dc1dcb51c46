"""What a backend may offer besides the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.interface import FEATURES
from tasks.spec import ModelSpec

# Why no net in both directions has them.
ONE_DIRECTION = {
    "stream": "a bidirectional net needs the whole sequence before its first output",
    "stateful": "the backward direction of a bidirectional net has no state to carry on",
}


def supports(backend: Any, *, feature: str, spec: ModelSpec, device: str, dtype: str) -> str | None:
    """Why `backend` does not offer a feature of FEATURES for this model; None if it does."""
    if feature in ONE_DIRECTION and spec.bidirectional:
        return ONE_DIRECTION[feature]
    if not hasattr(backend, "supports"):
        return f"{backend.name} does not offer {FEATURES[feature]}"
    reason: str | None = backend.supports(feature, spec, device=device, dtype=dtype)
    return reason


def lacking(feature: str, offered: Sequence[str]) -> str | None:
    """What `supports` of a backend with the features `offered` returns; None for one of these."""
    if feature in offered:
        return None
    if feature in FEATURES:
        return f"it does not offer {FEATURES[feature]}"
    return f"{feature!r} is unknown; expected {' or '.join(FEATURES)}"
