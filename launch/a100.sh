#!/usr/bin/env bash
# One A100 (needs pip install -e '.[cuda12,ocr]'): launch/a100.sh configs/paper.py --config.data.posters_dir=DIR
# Flags given after the config win over those set here.
set -euo pipefail
cd "$(dirname "$0")/.."
config=${1:?usage: launch/a100.sh CONFIG [FLAGS]}
shift
exec python -m posterfusion_jax.main --config="$config" \
  --config.features.batch_size=256 \
  --config.encoders.dtype=bfloat16 \
  --config.train.loader_threads=8 \
  "$@"
