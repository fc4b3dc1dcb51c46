"""What torch sets and counts on a GPU: the products of float32, and the most memory held."""

from __future__ import annotations


def set_float32_products(*, tf32: bool) -> None:
    """Make float32 products on a GPU true float32, or TF32; without a GPU do nothing."""
    import torch

    if not torch.cuda.is_available():
        return
    # Not through `backends.cuda.matmul`: since torch 2.9 a TF32 that is set there alone makes
    # torch raise wherever it reads the older flag.
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    rnn = torch.backends.cudnn.rnn
    if hasattr(rnn, "fp32_precision"):
        rnn.fp32_precision = "tf32" if tf32 else "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = tf32


def forget_peak(device: str) -> None:
    """Begin to count the peak of "cuda:N" anew; the CPU has no such count."""
    if device == "cpu":
        return
    import torch

    torch.cuda.init()  # before it torch has no count to reset, and raises
    torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int | None:
    """Most memory that tensors held on "cuda:N" since `forget_peak`; None on the CPU."""
    if device == "cpu":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated(device))
