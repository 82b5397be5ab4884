# Times ModelArray.lm on some elements, one core:
# Rscript fit_elements.R FILE COHORT FORMULA COUNT  prints the seconds an element takes, and with what.
# Without ModelArray what it calls at each element does instead: lm, and broom's tidy and glance.
suppressMessages(library(HDF5Array))
args <- commandArgs(trailingOnly = TRUE)
phenotypes <- read.csv(args[2])
formula <- as.formula(args[3])
values <- HDF5Array(args[1], name = 'scalars/x/values')
# In the middle: elements at both ends lack images.
elements <- nrow(values) %/% 2 + seq_len(min(as.integer(args[4]), nrow(values) %/% 2))
if (requireNamespace('ModelArray', quietly = TRUE)) {
  store <- ModelArray::ModelArray(args[1], scalar_types = 'x')
  start <- Sys.time()
  ModelArray::ModelArray.lm(formula, store, phenotypes, 'x', element.subset = elements,
                            n_cores = 1, pbar = FALSE, verbose = FALSE)
  how <- 'ModelArray.lm'
} else {
  start <- Sys.time()
  for (element in elements) {
    phenotypes$x <- values[element, ]
    fitted <- lm(formula, phenotypes)
    found <- list(broom::tidy(fitted), broom::glance(fitted))
  }
  how <- 'lm, tidy and glance, as ModelArray.lm calls them'
}
cat(as.numeric(Sys.time() - start, units = 'secs') / length(elements), how, '\n')
