# One job of an array: the model at this job's share of the elements, in a file of its own.
# Rscript fit_slice.R FA.h5 cohort_FA.csv parts
library(ModelArray)
args <- commandArgs(trailingOnly = TRUE)
job <- as.integer(Sys.getenv("SLURM_ARRAY_TASK_ID"))
n_jobs <- as.integer(Sys.getenv("SLURM_ARRAY_TASK_COUNT"))

data <- ModelArray(args[1], scalar_types = "FA")
phenotypes <- read.csv(args[2])
bounds <- as.integer(floor(seq(0, numElementsTotal(data, "FA"), length.out = n_jobs + 1)))
fit <- ModelArray.lm(FA ~ age + sex, data, phenotypes, "FA",
                     element.subset = (bounds[job] + 1L):bounds[job + 1])
writeResults(file.path(args[3], sprintf("job%03d.h5", job)), fit, analysis_name = "mylm")
