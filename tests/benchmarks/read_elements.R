# Times reading one element at a time, as ModelArray does, from several files in turn.
# Rscript read_elements.R SCALAR COUNT FILE...  prints the median seconds for each file.
suppressMessages(library(HDF5Array))
args <- commandArgs(trailingOnly = TRUE)
count <- as.integer(args[2])
files <- args[-(1:2)]
values <- lapply(files, HDF5Array, name = paste0('scalars/', args[1], '/values'))
set.seed(1)
elements <- sample(nrow(values[[1]]), count, replace = count > nrow(values[[1]]))
seconds <- matrix(0, count, length(files))
for (i in seq_len(count)) {
  for (j in seq_along(files)) {
    start <- Sys.time()
    row <- values[[j]][elements[i], ]
    seconds[i, j] <- as.numeric(Sys.time() - start, units = 'secs')
  }
}
cat(apply(seconds, 2, median), '\n')
