#!/usr/bin/env bash
#SBATCH --job-name=posterfusion
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=%x-%j.log
# sbatch launch/slurm.sh configs/paper.py --workdir=runs/paper --config.data.posters_dir=DIR
# Submit from the repository's root, with the environment active. A requeued job resumes from the last checkpoint.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?submit with sbatch from the root of the repository}"
exec srun --ntasks=1 bash launch/a100.sh "$@"
