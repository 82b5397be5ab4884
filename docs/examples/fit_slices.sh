#!/bin/bash
#SBATCH --job-name=mylm
# From 1 on: the script in R counts so.
#SBATCH --array=1-20
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --output=mylm-%A_%a.log

mkdir -p parts
Rscript fit_slice.R FA.h5 cohort_FA.csv parts
