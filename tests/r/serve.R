# Runs scripts of this folder one after the other, in one R: to load HDF5Array takes it seconds.
# Rscript serve.R < LINES, each "OUT<tab>SCRIPT<tab>ARGUMENT..."; OUT gets what the script prints. A
# line of standard output says "ready", and then of each script "done" or what stopped it.
suppressMessages({library(HDF5Array); library(rhdf5)})
lines <- file('stdin', 'r')
cat('ready\n')
while (length(line <- readLines(lines, n = 1))) {
  words <- strsplit(line, '\t', fixed = TRUE)[[1]]
  place <- new.env()
  place$commandArgs <- function(...) words[-(1:2)]
  sink(words[1])
  end <- tryCatch({source(words[2], local = place); 'done'}, error = conditionMessage)
  sink()
  h5closeAll()
  cat(gsub('\\s+', ' ', end), '\n', sep = '')
}
