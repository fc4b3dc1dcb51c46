"""Where a run comes from, without names of the machine, its user or its folders."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

# An absolute path of at least two parts in an error message; only its last part is kept.
_PATH = re.compile(
    r"(?<![\w.:/])(?:~|/[^\s/:;,'\"()<>|]+)(?:/[^\s/:;,'\"()<>|]+)*/([^\s/:;,'\"()<>|]+)"
)

# Options that do not change what is measured, and those that every checkout needs.
_LEFT_OUT = ("--reports", "--run-name", "--resume", "--rootdir", "-c")
_FILES = ("--data",)  # known by their names alone
_SWITCHES_LEFT_OUT = ("--queue",)
SUITE = "bench/suite"


def without_paths(message: str) -> str:
    """The message with each absolute path reduced to its last part."""
    return _PATH.sub(r"\1", message)


def command(arguments: Sequence[str], root: Path, program: str = "pytest") -> str:
    """The command line that repeats the run, in a checkout like that at `root`."""
    kept: list[str] = []
    skip, before = False, ""
    within = [word.replace(f"{root}/", "", 1) for word in arguments]
    # `--benchmark-only` runs the whole suite, so the suite's path can be omitted.
    named = [word for word in within if word.startswith(SUITE)]
    whole = "--benchmark-only" in arguments and set(named) == {SUITE}
    for argument in within:
        name, sign, _ = argument.partition("=")
        if skip or name in _LEFT_OUT:
            skip = not skip and not sign  # without "=", the value is the next word
            continue
        if name in _SWITCHES_LEFT_OUT:
            continue
        if not (whole and argument == SUITE):
            kept.append(_without_folders(argument, before))
        before = "" if sign else name
    return shlex.join([*program.split(), *kept])


def _without_folders(word: str, before: str) -> str:
    """A word of a command without paths; `before` is the option that it follows."""
    option, sign, value = word.partition("=")
    if option in _FILES and sign:
        return f"{option}={Path(value).name}"
    return Path(word).name if before in _FILES else without_paths(word)


# The beginnings of variables by which libraries choose kernels, threads and allocators.
_NUMERIC = (
    *(
        "OMP_",
        "KMP_",
        "GOMP_",
        "OPENBLAS_",
        "MKL_",
        "BLIS_",
        "ATLAS_",
        "VECLIB_",
        "ONEDNN_",
        "DNNL_",
    ),
    *("XLA_", "TF_", "JAX_", "KERAS_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "CUBLAS_", "CUDNN_"),
    *("CUDA_", "NVIDIA_TF32_", "NPY_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"),
)


_OF_NETWORKS = ("TF_CONFIG", "JAX_COORDINATOR_ADDRESS")  # these name hosts


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that may change the numbers or the speed of a framework; files by their names."""
    chosen = [n for n in sorted(variables) if n.startswith(_NUMERIC) and n not in _OF_NETWORKS]
    found = {name: without_paths(variables[name]) for name in chosen}
    if "LD_PRELOAD" in found:
        files = re.split(r"[:\s]+", variables["LD_PRELOAD"].strip())
        found["LD_PRELOAD"] = " ".join(Path(file).name for file in files)
    return found


def distribution(group: str, name: str) -> dict[str, str]:
    """Name and version of the distribution with that entry point: "0.1, commit 1a2b3c4d5e6f".

    Empty without one. The commit is that of a checkout that was installed for editing, or the one
    that pip installed (PEP 610).
    """
    found = next(iter(entry_points(group=group, name=name)), None)
    if found is None or found.dist is None:
        return {}
    text = found.dist.read_text("direct_url.json")
    source = json.loads(text) if text else {}
    revision = source.get("vcs_info", {}).get("commit_id", "")[:12]
    url = urllib.parse.urlparse(source.get("url", ""))
    if url.scheme == "file" and source.get("dir_info", {}).get("editable"):
        revision = commit(Path(urllib.request.url2pathname(url.path))) or ""
    version = found.dist.version or "of no version"
    return {found.dist.name: f"{version}, commit {revision}" if revision else version}


NODE = "RNNBENCH_NODE"  # environment variable by which a fleet passes on the alias of a node


def node(variables: Mapping[str, str]) -> str:
    """The alias of this node in its fleet, never its host name; empty outside of a fleet.

    Raises ValueError for what cannot be an alias.
    """
    found = variables.get(NODE, "")
    if not re.fullmatch(r"[0-9a-f]{0,16}", found):
        raise ValueError(f"{NODE} is {found!r}; expected hexadecimal digits, 16 at most")
    return found


def commit(root: Path) -> str | None:
    """The commit of a checkout, with "+changes" if files differ; None outside a checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None  # no git on this machine: the commit is unknown
        return done.stdout.strip() if done.returncode == 0 else None

    found = git("rev-parse", "--short=12", "HEAD")
    if not found:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!reports")
    return f"{found}+changes" if changed else found
