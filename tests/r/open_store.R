# Opens scalars and analyses as the constructor of ModelArray does: HDF5Array for the numbers, rhdf5
# for the names, looked for in the attribute first and then in the datasets it knows.
# Rscript open_store.R OUT FILE WHAT [FILE WHAT ...]
# WHAT is scalars/<name> or results/<name>. OUT gets a line for each: its shape, the names and the
# numbers of the first row with those that are not finite as "-"; or "stopped" and the message; or
# "crashed", which each does in a process of its own.
suppressMessages({library(HDF5Array); library(rhdf5)})

first_names <- function(file, attribute, paths) {
  if (!is.null(attribute)) return(as.character(attribute))
  for (path in paths) {
    found <- tryCatch(h5read(file, path), error = function(e) NULL)
    if (!is.null(found)) return(trimws(as.character(as.vector(unlist(found)))))
  }
  stop('there are no names')
}

scalar <- function(file, name) {
  path <- sprintf('scalars/%s/values', name)
  matrix <- DelayedArray(HDF5ArraySeed(file, name = path, type = NA))
  places <- c('scalars/%s/column_names', 'scalars/%s/values/column_names',
              'scalars/scalars/%s/values/column_names', 'scalars/scalars/%s/column_names')
  names <- first_names(file, h5readAttributes(file, path)$column_names, sprintf(places, name))
  if (dim(matrix)[2] != length(names)) {
    if (dim(matrix)[1] != length(names)) stop('neither dimension is that of the names')
    matrix <- t(matrix)
  }
  colnames(matrix) <- names
  matrix
}

results <- function(file, name) {
  path <- sprintf('results/%s/results_matrix', name)
  places <- c('results/%s/column_names', 'results/%s/results_matrix/column_names')
  names <- first_names(file, h5readAttributes(file, path)$colnames, sprintf(places, name))
  matrix <- DelayedArray(HDF5ArraySeed(file, name = path, type = NA))
  if (dim(matrix)[2] != length(names)) matrix <- t(matrix)
  colnames(matrix) <- names
  matrix
}

look <- function(file, what) {
  parts <- strsplit(what, '/', fixed = TRUE)[[1]]
  open <- list(scalars = scalar, results = results)[[parts[1]]]
  matrix <- open(file, paste(parts[-1], collapse = '/'))
  row <- matrix[1, ]
  numbers <- ifelse(is.finite(row), sprintf('%a', suppressWarnings(as.numeric(row))), '-')
  paste(c(paste(dim(matrix), collapse = ' '), colnames(matrix), numbers), collapse = '\t')
}

try_to_look <- function(file, what) {
  tryCatch(look(file, what),
           error = function(e) paste0('stopped\t', gsub('\\s+', ' ', conditionMessage(e))))
}

args <- commandArgs(trailingOnly = TRUE)
files <- args[seq(2, length(args), by = 2)]
parts <- args[seq(3, length(args), by = 2)]
# What R loads and compiles at first use, it has then in each process.
invisible(try_to_look(files[1], parts[1]))
lines <- suppressWarnings(parallel::mclapply(
  seq_along(files), function(n) try_to_look(files[n], parts[n]),
  mc.cores = 2, mc.preschedule = FALSE))
out <- file(args[1], 'w')
for (line in lines) writeLines(if (is.character(line)) line else 'crashed', out, useBytes = TRUE)
close(out)
