#!/usr/bin/env bash
# Trains on a GPU's machine what tables_on_gpu.py gathered, with the packages gathered for it:
#     bash benchmarks/tables_on_gpu.sh train|measure FOLDER OUT MINUTES [options of tables_on_gpu.py]
set -euo pipefail
what="$1" folder="$2" out="$3" minutes="$4"
checkout="$(cd "$(dirname "$0")/.." && pwd)"
export PYTHONPATH="$checkout/src" KERAS_BACKEND="${KERAS_BACKEND:-jax}"
if compgen -G "$folder/wheels/*.whl" >/dev/null; then
    site="$(mktemp -d)"
    "${PYTHON:-python3}" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$folder"/wheels/*.whl
    PYTHONPATH="$PYTHONPATH:$site"
fi
exec "${PYTHON:-python3}" "$checkout/benchmarks/tables_on_gpu.py" "$what" --folder "$folder" --out "$out" --minutes "$minutes" "${@:5}"
