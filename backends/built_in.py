"""The table of the variants that come with the project."""

from __future__ import annotations

from backends.entry import Entry

BUILT_IN: tuple[Entry, ...] = (
    Entry("numpy", "backends.numpy.backend:numpy_backend"),
    Entry("torch", "backends.torch.backend:torch_nn", ("torch",), "torch"),
    Entry(
        "keras-tensorflow",
        "backends.keras.backend:keras_tensorflow",
        ("keras", "tensorflow"),
        "tensorflow",
    ),
    Entry(
        "keras-tensorflow-jit",
        "backends.keras.backend:keras_tensorflow_jit",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry(
        "keras-tensorflow-unrolled",
        "backends.keras.backend:keras_tensorflow_unrolled",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
        slow_build=True,
    ),
    Entry("keras-jax", "backends.keras.backend:keras_jax", ("keras", "jax"), "keras,jax"),
    Entry("keras-torch", "backends.keras.backend:keras_torch", ("keras", "torch"), "keras,torch"),
    Entry("jax", "backends.jax.backend:jax_scan", ("jax",), "jax"),
    Entry("flax", "backends.flax.nnx:flax_nnx", ("jax", "flax"), "jax"),
    # Sequences of different lengths without packing.
    Entry("torch-padded", "backends.torch.padded:torch_padded", ("torch",), "torch", default=False),
    # Memory that is freed stays with the process.
    Entry(
        "torch-quiet-malloc",
        "backends.torch.backend:torch_quiet_malloc",
        ("torch",),
        "torch",
        default=False,
    ),
    # A time loop in Python, as the source notes teach it; slow.
    Entry("torch-cell", "backends.torch.cell:torch_cell", ("torch",), "torch", default=False),
    # Options of a framework, each as a variant of its own.
    Entry("jax-unrolled", "backends.jax.backend:jax_unrolled", ("jax",), "jax", default=False),
    Entry("flax-linen", "backends.flax.linen:flax_linen", ("jax", "flax"), "jax", default=False),
    Entry(
        "keras-tensorflow-train_on_batch",
        "backends.keras.train_on_batch:keras_tensorflow_train_on_batch",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    # What users of Keras call for one prediction at a time.
    Entry(
        "keras-tensorflow-predict",
        "backends.keras.point_by_point:keras_tensorflow_predict",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry(
        "keras-tensorflow-call",
        "backends.keras.point_by_point:keras_tensorflow_call",
        ("keras", "tensorflow"),
        "tensorflow",
        default=False,
    ),
    Entry(
        "torch-compile",
        "backends.torch.compiled:torch_compile",
        ("torch",),
        "torch",
        default=False,
        slow_build=True,
    ),
)
