# Reads an analysis as ModelArray does: names from the attribute, else from the dataset, the matrix
# through HDF5Array. Prints how many numbers differ from those of p.adjust on the raw p values.
# Rscript read_results.R FILE ANALYSIS
suppressMessages({library(HDF5Array); library(rhdf5)})
args <- commandArgs(trailingOnly = TRUE)
matrix <- paste0('results/', args[2], '/results_matrix')
names <- h5readAttributes(args[1], matrix)$colnames
if (is.null(names)) names <- h5read(args[1], paste0('results/', args[2], '/column_names'))
results <- as.matrix(HDF5Array(args[1], matrix))
colnames(results) <- as.character(names)
cat(dim(results), '\n')
cat(colnames(results), sep = '\n')
cat('ids', all(results[, 'element_id'] == seq_len(nrow(results)) - 1), '\n')
for (name in grep('p\\.value\\.', names, value = TRUE)) {
  method <- sub('.*\\.', '', name)
  adjusted <- p.adjust(results[, sub('\\.[^.]*$', '', name)], method)
  cat(name, identical(unname(results[, name]), unname(adjusted)), sum(adjusted < 1, na.rm = TRUE), '\n')
}
