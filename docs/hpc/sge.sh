#!/bin/bash
# What qstat calls the job.
#$ -N modelarray
# The shell that runs this file.
#$ -S /bin/bash
# Start where qsub was called.
#$ -cwd
# Four slots on one machine; "smp" is called otherwise at some sites (qconf -spl).
#$ -pe smp 4
# Memory of each slot, and time. h_vmem counts addresses, more than what is used.
#$ -l h_vmem=3G
#$ -l h_rt=02:00:00
# Errors into the same log.
#$ -j y
# A signal a minute before the job is killed (SIGUSR2) or suspended (SIGUSR1), to all of its processes.
#$ -notify

set -eu
STUDY=${STUDY:-/data/study}
RESULTS=${RESULTS:-/data/results}
WORK=${WORK:-/scratch/$USER/modelarray}

# The program, which knows neither, is to survive both.
trap '' USR1 USR2
# --nprocs: as many threads as slots. --mem-mb: two thirds of 4 × 3 GB.
modelarrayio-bids "$STUDY" "$RESULTS" group \
    -w "$WORK" --blocks 10 --nprocs "$NSLOTS" --mem-mb 8000 &
program=$!
# What SGE sends becomes what the program understands: clean up, and end.
trap 'kill -TERM $program' USR2
# A signal ends the waiting too: then once more, for the program's own end.
wait $program || wait $program
