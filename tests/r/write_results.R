# Writes an analysis as ModelArray's writeResults() does: a matrix of (rows, statistics) as R sees
# it, its names in the attribute "colnames".
# Rscript write_results.R FILE ANALYSIS CSV
suppressMessages(library(rhdf5))
args <- commandArgs(trailingOnly = TRUE)
results <- read.csv(args[3], check.names = FALSE)
if (!('results' %in% h5ls(args[1], recursive = FALSE)$name)) h5createGroup(args[1], 'results')
group <- paste0('results/', args[2])
h5createGroup(args[1], group)
path <- paste0(group, '/results_matrix')
h5createDataset(args[1], path, dim(results), storage.mode = 'double',
                chunk = c(min(1000, nrow(results)), ncol(results)))
h5write(unname(as.matrix(results)), args[1], path)
file <- H5Fopen(args[1])
dataset <- H5Dopen(file, path)
h5writeAttribute(colnames(results), dataset, 'colnames')
H5Dclose(dataset)
H5Fclose(file)
