"""Which operators a call in torch comes down to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any


def operator_calls(call: Callable[[], Any]) -> Counter[str]:
    """How often `call` calls each aten operator, by its name: {"mm": 126, ...}.

    Composite operators are split, so that a `matmul` counts as the `mm` or `bmm` that it is. Only
    counts are kept: the profiler of torch keeps every event, and needs more than 20 GB for a
    thousand steps of Keras' loop in Python.
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
