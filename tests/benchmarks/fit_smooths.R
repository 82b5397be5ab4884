# Times ModelArray.gam on some elements, one core, as fit_elements.R times ModelArray.lm.
# Without ModelArray what it calls at each element: gam, its summary, and broom's tidy and glance.
suppressMessages({library(HDF5Array); library(mgcv)})
args <- commandArgs(trailingOnly = TRUE)
phenotypes <- read.csv(args[2], stringsAsFactors = TRUE)
formula <- as.formula(args[3])
values <- HDF5Array(args[1], name = 'scalars/x/values')
# In the middle: elements at both ends lack images.
elements <- nrow(values) %/% 2 + seq_len(min(as.integer(args[4]), nrow(values) %/% 2))
if (requireNamespace('ModelArray', quietly = TRUE)) {
  store <- ModelArray::ModelArray(args[1], scalar_types = 'x')
  start <- Sys.time()
  ModelArray::ModelArray.gam(formula, store, phenotypes, 'x', element.subset = elements,
                             n_cores = 1, pbar = FALSE, verbose = FALSE)
  how <- 'ModelArray.gam'
} else {
  start <- Sys.time()
  for (element in elements) {
    phenotypes$x <- values[element, ]
    fitted <- gam(formula, data = phenotypes)
    found <- list(broom::tidy(fitted), broom::tidy(fitted, parametric = TRUE), broom::glance(fitted), summary(fitted))
  }
  how <- 'gam, tidy, glance and summary, as ModelArray.gam calls them'
}
cat(as.numeric(Sys.time() - start, units = 'secs') / length(elements), how, '\n')
