#!/bin/bash
# What squeue calls the job.
#SBATCH --job-name=modelarray
# This job sends others and waits: it needs little, for as long as all of them take.
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
# Days, hours, minutes, seconds.
#SBATCH --time=1-00:00:00
# What it prints; %j is the number of the job.
#SBATCH --output=modelarray-%j.log
# Two minutes before the time is up: SIGTERM, so that nothing half-written stays.
#SBATCH --signal=B:TERM@120

set -eu
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
# Seen by every node: the jobs hand their rows over in it.
WORK=${WORK:-/scratch/$USER/modelarray}
# Threads and memory (MiB) of each job that is sent; sbatch is asked for as much.
CPUS=${CPUS:-4}
MEMORY=${MEMORY:-8000}

# --nipype-plugin SLURM: every step is a job of its own.
# --blocks: each cohort is read by twenty of them.
exec modelarrayio-bids "$STUDY" "$RESULTS" group \
    -w "$WORK" --nipype-plugin SLURM --blocks "${BLOCKS:-20}" --nprocs "$CPUS" --mem-mb "$MEMORY"
