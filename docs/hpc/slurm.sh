#!/bin/bash
# What squeue calls the job.
#SBATCH --job-name=modelarray
# One program of four threads.
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
# Memory of the whole job. The program looks it up, and stays below.
#SBATCH --mem=8G
# Hours, minutes, seconds.
#SBATCH --time=02:00:00
# What it prints; %j is the number of the job.
#SBATCH --output=modelarray-%j.log
# Two minutes before the time is up: SIGTERM, so that nothing half-written stays.
#SBATCH --signal=B:TERM@120

# End at the first error, and at a name that was never set.
set -eu
# The BIDS dataset, whose derivatives/ is looked into, and where the HDF5 files go.
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
# For what an interrupted run goes on from: on a disk that outlives the job.
WORK=${WORK:-/scratch/$USER/modelarray}

# exec: signals reach the program, not a shell in front of it.
# --blocks: images are read in ten lots, and those read before are kept.
# --nprocs: as many threads as processors were asked for above.
exec modelarrayio-bids "$STUDY" "$RESULTS" group \
    -w "$WORK" --blocks 10 --nprocs "$SLURM_CPUS_PER_TASK"
