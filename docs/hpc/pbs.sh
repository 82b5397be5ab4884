#!/bin/bash
# What qstat calls the job.
#PBS -N modelarray
# One machine's share: four processors, 8 GB.
#PBS -l select=1:ncpus=4:mem=8gb
# Hours, minutes, seconds.
#PBS -l walltime=02:00:00
# Errors into the same log.
#PBS -j oe

set -eu
# PBS starts in the home folder: go where qsub was called.
cd "$PBS_O_WORKDIR"
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
WORK=${WORK:-/scratch/$USER/modelarray}

# PBS tells a job its processors (NCPUS) but not its memory: --mem-mb repeats it, in MiB.
# At the end of its time, or after qdel, it sends SIGTERM and, ten seconds later, SIGKILL.
exec modelarrayio-bids "$STUDY" "$RESULTS" group \
    -w "$WORK" --blocks 10 --nprocs "$NCPUS" --mem-mb 7600
