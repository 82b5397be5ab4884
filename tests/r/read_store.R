# Reads a scalar as ModelArray does: HDF5Array for the values, rhdf5 for the names.
# Rscript read_store.R FILE SCALAR TABLE OUT ELEMENT...  (elements count from 1, as in R)
suppressMessages({library(HDF5Array); library(rhdf5)})
args <- commandArgs(trailingOnly = TRUE)
values <- HDF5Array(args[1], paste0('scalars/', args[2], '/values'))
names <- as.character(h5read(args[1], paste0('scalars/', args[2], '/column_names')))
table <- h5read(args[1], args[3], read.attributes = TRUE)
colnames(values) <- names
out <- file(args[4], 'w')
writeLines(paste(dim(values), collapse = ' '), out)
writeLines(names, out)
writeLines(paste(attr(table, 'column_names'), collapse = ' '), out)
writeLines(paste(attr(table, 'structure_names'), collapse = ' '), out)
for (element in as.integer(args[-(1:4)])) {
  writeLines(paste(sprintf('%a', as.numeric(values[element, ])), collapse = ' '), out)
  row <- if (length(dim(table)) == 2) table[element, ] else table[element]
  writeLines(paste(row, collapse = ' '), out)
}
close(out)
