"""What a backend may offer besides the contract."""

from __future__ import annotations

from typing import Any

from backends.interface import FEATURES
from tasks.spec import ModelSpec


def supports(backend: Any, *, feature: str, spec: ModelSpec, device: str, dtype: str) -> str | None:
    """Why `backend` does not offer a feature of FEATURES for this model; None if it does."""
    if not hasattr(backend, "supports"):
        return f"{backend.name} does not offer {FEATURES[feature]}"
    reason: str | None = backend.supports(feature, spec, device=device, dtype=dtype)
    return reason
