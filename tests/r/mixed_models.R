# Random-intercept models by lmerTest, with an optimizer that does not stop early.
# In: a folder with table.csv, formula.txt, responses.bin (images × elements), and maybe scalar.bin,
# contrasts.csv and joint.csv (factors of the coefficients) and a file anova.
# Out: results.csv, a row for each element.
suppressMessages(library(lmerTest))
folder <- commandArgs(trailingOnly = TRUE)
in_folder <- function(name) file.path(folder, name)
table <- read.csv(in_folder("table.csv"), stringsAsFactors = TRUE)
formula <- as.formula(readLines(in_folder("formula.txt")))
numbers <- function(name) {
  matrix(readBin(in_folder(name), "double", 1e7), nrow = nrow(table))
}
factors <- function(name) as.matrix(read.csv(in_folder(name), header = FALSE))
responses <- numbers("responses.bin")
scalar <- if (file.exists(in_folder("scalar.bin"))) numbers("scalar.bin")
control <- lmerControl(
  optimizer = "nloptwrap", calc.derivs = FALSE, check.conv.singular = "ignore",
  optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 5000)
)
fit <- function(element) {
  table$y <- responses[, element]
  if (!is.null(scalar)) table$MD <- scalar[, element]
  data <- table[is.finite(table$y), ]
  model <- suppressWarnings(suppressMessages(lmer(formula, data = data, control = control)))
  deviations <- as.data.frame(VarCorr(model))$sdcor
  found <- c(
    t(coef(summary(model))),
    deviations, REMLcrit(model), as.numeric(logLik(model)), AIC(model), BIC(model),
    df.residual(model), nobs(model), unname(ngrps(model))
  )
  if (file.exists(in_folder("contrasts.csv"))) {
    for (row in asplit(factors("contrasts.csv"), 1)) {
      found <- c(found, unlist(contest1D(model, as.numeric(row))))
    }
  }
  if (file.exists(in_folder("joint.csv"))) {
    test <- contest(model, unname(factors("joint.csv")))
    found <- c(found, unlist(test[c("F value", "DenDF", "Pr(>F)")]))
  }
  if (file.exists(in_folder("anova"))) {
    test <- anova(model, type = 2)
    found <- c(found, t(as.matrix(test[, c("F value", "DenDF", "Pr(>F)")])))
  }
  found
}
results <- t(sapply(seq_len(ncol(responses)), fit))
write.table(
  format(results, digits = 17), in_folder("results.csv"), sep = ",", quote = FALSE,
  row.names = FALSE, col.names = FALSE
)
