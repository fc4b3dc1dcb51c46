"""Environment variables that change numbers or times, and how. Each reaches the workers."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

_TF32 = "turns TF32 on or off for all products on a GPU, whatever --dtype is"
_ISA = "chooses other instructions than this processor would run"
_DEBUG = "checks or prints at every step"
_SPIN = "how long waiting threads spin, or which core they run on"
_ALLOCATOR = "another memory allocator, or other settings of it"
_UNCOMPILED = "what should be compiled is not"
_COMPILER = "other options of the compiler"
_PYTHON = "checks, counts or traces in Python itself"

# By name or pattern; the first that fits counts.
EFFECTS: Mapping[str, str] = {
    "NVIDIA_TF32_OVERRIDE": _TF32,
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": _TF32,
    "JAX_DEFAULT_MATMUL_PRECISION": "the precision of JAX's products, whatever --dtype is",
    "JAX_ENABLE_X64": "float64 in JAX, also where --dtype is float32",
    "ONEDNN_DEFAULT_FPMATH_MODE": "oneDNN may compute float32 in bfloat16",
    "TF_ENABLE_AUTO_MIXED_PRECISION": "float32 is computed in float16",
    "TF_ENABLE_ONEDNN_OPTS": "turns oneDNN on or off in TensorFlow",
    "TF_*DETERMINISTIC*": "slower, deterministic operators",
    "CUBLAS_WORKSPACE_CONFIG": "slower, deterministic operators",
    "CUDA_LAUNCH_BLOCKING": "every kernel is waited for",
    "JAX_DISABLE_JIT": _UNCOMPILED,
    "TORCHDYNAMO_DISABLE": _UNCOMPILED,
    "TORCH_COMPILE_DISABLE": _UNCOMPILED,
    "XLA_FLAGS": _COMPILER,
    "TF_XLA_FLAGS": _COMPILER,
    "JAX_COMPILATION_CACHE_DIR": "first calls come from a cache: cold starts look too short",
    "JAX_DEBUG_*": _DEBUG,
    "JAX_CHECK_TRACER_LEAKS": _DEBUG,
    "ONEDNN_VERBOSE": _DEBUG,
    "DNNL_VERBOSE": _DEBUG,
    "MKL_VERBOSE": _DEBUG,
    "ONEDNN_MAX_CPU_ISA": _ISA,
    "DNNL_MAX_CPU_ISA": _ISA,
    "MKL_CBWR": _ISA,
    "MKL_ENABLE_INSTRUCTIONS": _ISA,
    "MKL_DEBUG_CPU_TYPE": _ISA,
    "OPENBLAS_CORETYPE": _ISA,
    "NPY_DISABLE_CPU_FEATURES": _ISA,
    "ATEN_CPU_CAPABILITY": _ISA,
    "KMP_BLOCKTIME": _SPIN,
    "KMP_LIBRARY": _SPIN,
    "KMP_AFFINITY": _SPIN,
    "GOMP_SPINCOUNT": _SPIN,
    "GOMP_CPU_AFFINITY": _SPIN,
    "OMP_WAIT_POLICY": _SPIN,
    "OMP_PROC_BIND": _SPIN,
    "OMP_PLACES": _SPIN,
    "OMP_DYNAMIC": "the number of threads changes from step to step",
    "LD_PRELOAD": _ALLOCATOR,
    "MALLOC_*": _ALLOCATOR,
    "GLIBC_TUNABLES": _ALLOCATOR,
    "PYTHONMALLOC": _ALLOCATOR,
    "PYTHONDEVMODE": _PYTHON,
    "PYTHONTRACEMALLOC": _PYTHON,
    "PYTHONPROFILEIMPORTTIME": _PYTHON,
    "COVERAGE_PROCESS_START": _PYTHON,
}


def effect(name: str) -> str | None:
    """What a variable changes; None if it is not known to change anything."""
    found = (why for pattern, why in EFFECTS.items() if fnmatch.fnmatchcase(name, pattern))
    return next(found, None)
