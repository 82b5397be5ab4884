# A linear model at every element, written as ModelArray.lm() and writeResults() write it.
# It stands in for ModelArray where only rhdf5 is at hand: use ModelArray for your own data.
# Rscript lm.R H5 SCALAR COHORT "age + sex" ANALYSIS
suppressMessages(library(rhdf5))
args <- commandArgs(trailingOnly = TRUE)
store <- args[1]; scalar <- args[2]; analysis <- args[5]
values <- h5read(store, paste0('scalars/', scalar, '/values'))
sources <- as.character(h5read(store, paste0('scalars/', scalar, '/column_names')))
cohort <- read.csv(args[3])
stopifnot(setequal(sources, cohort$source_file))
cohort <- cohort[match(sources, cohort$source_file), ]
formula <- as.formula(paste('y ~', args[4]))
terms <- sub('(Intercept)', 'Intercept', colnames(model.matrix(formula[-2], cohort)), fixed = TRUE)
terms_names <- paste0(rep(terms, each = 3), '.', c('estimate', 'statistic', 'p.value'))
names <- c('element_id', terms_names, 'model.adj.r.squared', 'model.nobs')

fit <- function(element) {
  cohort$y <- values[element, ]
  if (sum(is.finite(cohort$y)) < 10) return(c(element - 1, rep(NaN, length(names) - 1)))
  found <- summary(lm(formula, cohort))
  c(element - 1, t(found$coefficients[, c(1, 3, 4)]), found$adj.r.squared, length(found$residuals))
}
results <- t(sapply(seq_len(nrow(values)), fit))

if (!('results' %in% h5ls(store, recursive = FALSE)$name)) h5createGroup(store, 'results')
h5createGroup(store, paste0('results/', analysis))
path <- paste0('results/', analysis, '/results_matrix')
h5createDataset(store, path, dim(results), storage.mode = 'double')
h5write(results, store, path)
file <- H5Fopen(store)
dataset <- H5Dopen(file, path)
h5writeAttribute(names, dataset, 'colnames')
H5Dclose(dataset); H5Fclose(file)
cat(nrow(results), 'elements,', length(names) - 1, 'results\n')
