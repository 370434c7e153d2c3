#!/usr/bin/env bash
# Any machine with the package installed: launch/local.sh configs/quickstart.py [--workdir=W] [--config.x.y=z ...]
set -euo pipefail
cd "$(dirname "$0")/.."
config=${1:?usage: launch/local.sh CONFIG [FLAGS]}
shift
exec python -m posterfusion_jax.main --config="$config" "$@"
