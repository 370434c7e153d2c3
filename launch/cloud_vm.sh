#!/usr/bin/env bash
# A fresh Debian or Ubuntu VM with Python 3.11 or newer and an NVIDIA driver: installs into .venv, then runs.
# launch/cloud_vm.sh configs/paper.py --config.data.posters_dir=DIR
set -euo pipefail
cd "$(dirname "$0")/.."
[ -d .venv ] || python3 -m venv .venv
.venv/bin/pip install -q -e '.[cuda12,ocr]' -c constraints.txt
export PATH="$PWD/.venv/bin:$PATH"
python -c "import jax; print('devices:', jax.devices())"
exec bash launch/a100.sh "$@"
