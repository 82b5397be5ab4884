# Times lmerTest on some elements, one core:
# Rscript fit_elements_lmer.R FILE COHORT FORMULA COUNT  prints the seconds an element takes, and with what.
suppressMessages({
  library(HDF5Array)
  library(lmerTest)
})
args <- commandArgs(trailingOnly = TRUE)
phenotypes <- read.csv(args[2])
formula <- as.formula(args[3])
values <- HDF5Array(args[1], name = 'scalars/x/values')
# In the middle: elements at both ends lack images.
elements <- nrow(values) %/% 2 + seq_len(min(as.integer(args[4]), nrow(values) %/% 2))
start <- Sys.time()
for (element in elements) {
  phenotypes$x <- values[element, ]
  found <- coef(summary(suppressMessages(lmer(formula, phenotypes))))
}
cat(as.numeric(Sys.time() - start, units = 'secs') / length(elements), 'lmerTest\n')
