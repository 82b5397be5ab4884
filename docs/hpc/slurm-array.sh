#!/bin/bash
# What squeue calls the job.
#SBATCH --job-name=modelarray
# One task for each scalar below, counted from 0; %4: at most four at a time.
#SBATCH --array=0-2%4
# Of each task.
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
# Hours, minutes, seconds.
#SBATCH --time=01:00:00
# %A is the number of the job, %a that of the task.
#SBATCH --output=modelarray-%A_%a.log
# Two minutes before the time is up: SIGTERM, so that nothing half-written stays.
#SBATCH --signal=B:TERM@120

set -eu
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
# As --list-scalars shows them.
SCALARS=(cbf dki_fa thickness)
# This task's own.
SCALAR=${SCALARS[$SLURM_ARRAY_TASK_ID]}

# A folder for each: two runs at a time must not describe the same one.
exec modelarrayio-bids "$STUDY" "$RESULTS/$SCALAR" group \
    --scalars "$SCALAR" --nprocs "$SLURM_CPUS_PER_TASK"
