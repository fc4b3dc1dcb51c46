"""Counts the operators that a call in torch executes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any


def operator_calls(call: Callable[[], Any]) -> Counter[str]:
    """How often `call` calls each aten operator, by its name: {"mm": 126, ...}.

    Composite operators are split, so a `matmul` counts as `mm` or `bmm`. Only counts are kept,
    because torch's profiler keeps every event and needs more than 20 GB for a thousand steps of
    Keras' Python loop.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    counts: Counter[str] = Counter()

    class Counting(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
        def __torch_dispatch__(
            self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            with self:
                parts = operator.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
            counts[operator.overloadpacket.__name__] += 1
            return operator(*args, **(kwargs or {}))

    with Counting():
        call()
    return counts
