"""A batch on a device of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Lengths(NamedTuple):
    """The lengths (B,) of the sequences: on the host, as packing needs them, and on the device."""

    host: Any
    device: Any

    def real(self, steps: int) -> Any:
        """(B,T) bool on the device: which steps are no padding."""
        import torch

        return torch.arange(steps, device=self.device.device) < self.device[:, None]


@dataclass(frozen=True)
class Placed:
    """A batch on the device, batch first."""

    x: Any  # (B,T,D) | (B,T) int
    y: Any  # (B,T) | (B,) int, or (B,T,C) | (B,C)
    weight: Any  # (B,T) or None
    state: tuple[Any, ...] | None  # h0, LSTM also c0, (L*directions,B,H)
    lengths: Lengths | None = None
