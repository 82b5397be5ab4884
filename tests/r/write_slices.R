# Writes analyses of slices as ModelArray does: p values are adjusted for each slice's rows alone
# (.correct_pvalues), the matrix is written, then its names into a dataset beside it (writeResults).
# Rscript write_slices.R FILE CSV LAST_ROW...  (rows count from 1, as in R)
suppressMessages(library(rhdf5))
args <- commandArgs(trailingOnly = TRUE)
results <- read.csv(args[2], check.names = FALSE)
h5createGroup(args[1], 'results')
first <- 1
for (last in as.integer(args[-(1:2)])) {
  part <- results[first:last, ]
  for (raw in grep('p\\.value$', names(part), value = TRUE)) {
    for (method in c('fdr', 'hommel')) {
      part[[paste0(raw, '.', method)]] <- p.adjust(part[[raw]], method = method)
    }
  }
  group <- paste0('results/mylm_', first, 'to', last)
  h5createGroup(args[1], group)
  h5write(unname(as.matrix(part)), args[1], paste0(group, '/results_matrix'))
  h5write(names(part), args[1], paste0(group, '/column_names'))
  first <- last + 1
}
