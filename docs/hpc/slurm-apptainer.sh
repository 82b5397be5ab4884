#!/bin/bash
# What squeue calls the job.
#SBATCH --job-name=modelarray
# One program of four threads.
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
# Memory of the whole job.
#SBATCH --mem=8G
# Hours, minutes, seconds.
#SBATCH --time=02:00:00
# What it prints; %j is the number of the job.
#SBATCH --output=modelarray-%j.log
# Two minutes before the time is up: SIGTERM, so that nothing half-written stays.
#SBATCH --signal=B:TERM@120

# End at the first error, and at a name that was never set.
set -eu
# Made with "apptainer build", as above.
IMAGE=${IMAGE:-$HOME/modelarrayio-bids.sif}
# The BIDS dataset, whose derivatives/ is looked into, and where the HDF5 files go.
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
# For what an interrupted run goes on from: on a disk that outlives the job.
WORK=${WORK:-/scratch/$USER/modelarray}

# What is bound has to be there.
mkdir -p "$RESULTS" "$WORK"
# --nprocs: as many threads as processors were asked for above.
# --mem-mb: --cleanenv hides what Slurm granted (in MiB). A tenth is left for the container itself.
exec apptainer run --containall --cleanenv \
    --bind "$STUDY:/data:ro" --bind "$RESULTS:/out" --bind "$WORK:/work" \
    "$IMAGE" /data /out group -w /work --blocks 10 \
    --nprocs "$SLURM_CPUS_PER_TASK" --mem-mb "$((SLURM_MEM_PER_NODE * 9 / 10))"
