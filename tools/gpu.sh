#!/usr/bin/env bash
# `rnnbench gpu` on a machine that has the frameworks and no environment for rnnbench yet.
#
#   tools/gpu.sh [--python PYTHON] [--venv DIR] [--wheels DIR] [options of `rnnbench gpu`]
#
# Makes a virtual environment that sees what PYTHON has (torch, JAX, CuPy, ...), and installs into it
# what rnnbench needs and PYTHON lacks: from the wheels in a folder alone, or from pip's index.
# Frameworks are neither installed nor changed. A second run uses the environment of the first.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
python=python3 venv="$root/build/gpu-venv" wheels=
options=()
while (($#)); do
    case "$1" in
        --python | --venv | --wheels)
            if (($# < 2)); then
                echo "tools/gpu.sh: $1 has no value; expected $1 PATH" >&2
                exit 2
            fi
            declare "${1#--}=$2"
            shift 2
            ;;
        *)
            options+=("$1")
            shift
            ;;
    esac
done
if [[ -n "$wheels" && ! -d "$wheels" ]]; then
    echo "tools/gpu.sh: --wheels $wheels is no folder; expected one with wheels for pip" >&2
    exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "tools/gpu.sh: $python is no Python 3.11 or newer; name one with --python" >&2
    exit 2
fi

if [[ ! -e "$venv/.ready" ]]; then
    echo "making $venv"
    "$python" -m venv --without-pip --system-site-packages "$venv"
    own="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    # Where PYTHON is itself that of a virtual environment, the new one sees only the system below.
    "$python" - >"$own/gpu-parent.pth" <<'PYTHON'
import site
import sys

for folder in site.getsitepackages() if sys.prefix != sys.base_prefix else ():
    print(f"import site; site.addsitedir({folder!r})")
PYTHON
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        "$venv/bin/python" -m ensurepip >/dev/null
    fi
    pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    [[ -z "$wheels" ]] || pip+=(--no-index --find-links "$wheels")
    lists="$root/tools/gpu_requirements.py"
    "$venv/bin/python" "$lists" held >"$venv/held.txt"
    "$venv/bin/python" "$lists" needed >"$venv/needed.txt"
    "$venv/bin/python" "$lists" wanted >"$venv/wanted.txt"
    "${pip[@]}" --constraint "$venv/held.txt" --requirement "$venv/needed.txt"
    while read -r requirement; do
        [[ -n "$requirement" ]] || continue
        "${pip[@]}" --constraint "$venv/held.txt" "$requirement" ||
            echo "tools/gpu.sh: $requirement is not to be had: its variants are skipped"
    done <"$venv/wanted.txt"
    editable=(--no-deps --no-build-isolation --editable "$root")
    editable+=(--editable "$root/plugins/rnnbench-cupy")
    "${pip[@]}" "${editable[@]}"
    touch "$venv/.ready"
fi
cd "$root"
exec "$venv/bin/python" -m bench.cli gpu "${options[@]+"${options[@]}"}"
