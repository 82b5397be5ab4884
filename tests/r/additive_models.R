# Fits of mgcv::gam, for tests. Each line of input is a folder with formula.txt (left side y),
# table.csv and responses.bin (doubles, rows of the table by elements; NaN is missing), optionally
# weights.bin. Answered is results.csv: a row for each element, its columns named as ModelArray.gam
# names results (s(age):sexM is s_age_BYsexM), with mgcv's and broom's numbers. `exact` is the F test
# of a smooth by lm on mgcv's own columns: mgcv's p is that of a mixture where its Ref.df is a
# whole number but for rounding. At elements that lack images, columns are those of all rows. With a
# file `curves`, curves.csv has the curves of the first element.
suppressMessages(library(mgcv))
options(warn = -1, contrasts = c("contr.treatment", "contr.poly"))

doubles <- function(path, rows) {
  matrix(readBin(path, "double", file.size(path) / 8), nrow = rows)
}

# As ModelArray names them: s(age):sexM is s_age_BYsexM.
short <- function(label) {
  parts <- strsplit(label, "[()]")[[1]]
  rest <- paste(parts[-(1:2)], collapse = "")
  name <- paste0(parts[1], "_", parts[2], if (rest != "") "_", rest)
  gsub(",", "_", gsub(":", "BY", name))
}

prefixed <- function(name, values) setNames(values, paste(name, names(values), sep = "."))

coefficients_of <- function(found) {
  names <- sub("(Intercept)", "Intercept", rownames(found), fixed = TRUE)
  colnames(found) <- c("estimate", "std.error", "statistic", "p.value")
  unlist(lapply(seq_along(names), function(i) prefixed(names[i], found[i, ])))
}

model_of <- function(fit) {
  said <- summary(fit)
  whole <- broom::glance(fit)
  c(adj.r.squared = said$r.sq, dev.expl = said$dev.expl, sp.criterion = unname(said$sp.criterion),
    scale = said$scale,
    unlist(whole[c("df", "logLik", "AIC", "BIC", "deviance", "df.residual", "nobs")]))
}

changed <- function(full, formula, data) {
  labels <- attr(terms(formula), "term.labels")
  variables <- as.character(attr(terms(formula), "variables"))[-1]
  offsets <- variables[attr(terms(formula), "offset")]
  unlist(lapply(seq_along(labels), function(i) {
    rest <- c(if (length(labels) > 1) labels[-i] else "1", offsets)
    reduced <- gam(reformulate(rest, "y", attr(terms(formula), "intercept") == 1), data = data, weights = w)
    made <- interpret.gam(as.formula(paste("y ~", labels[i])))
    name <- labels[i]
    if (length(made$smooth.spec)) {
      of <- made$smooth.spec[[1]]
      name <- short(paste0(of$label, if (of$by != "NA" && !grepl(":", of$label)) paste0(":", of$by)))
    }
    error <- c(deviance(full), deviance(reduced))
    prefixed(name, c(delta.adj.rsq = summary(full)$r.sq - summary(reduced)$r.sq,
                     partial.rsq = (error[2] - error[1]) / error[2]))
  }))
}

exact <- function(fit, y, weights, columns) {
  full <- lm.wfit(columns, y, weights)
  unlist(lapply(fit$smooth, function(smooth) {
    own <- smooth$first.para:smooth$last.para
    part <- lm.wfit(columns[, -own, drop = FALSE], y, weights)
    df <- full$rank - part$rank
    error <- sum(full$weights * full$residuals^2)
    f <- (sum(part$weights * part$residuals^2) - error) / df / (error / full$df.residual)
    prefixed(short(smooth$label), c(exact.statistic = f, exact.df = df,
      exact.p.value = pf(f, df, full$df.residual, lower.tail = FALSE)))
  }))
}

# Curves of one covariate and their standard errors, between its least and its greatest value.
curves_of <- function(fit, table) {
  found <- lapply(Filter(function(smooth) smooth$dim == 1, fit$smooth), function(smooth) {
    x <- table[[smooth$term]]
    has <- !is.na(x)
    if (smooth$by != "NA" && is.factor(table[[smooth$by]])) has <- has & table[[smooth$by]] %in% smooth$by.level
    grid <- table[rep(which(has)[1], 101), ]
    grid[[smooth$term]] <- seq(min(x[has]), max(x[has]), length.out = 101)
    if (is.numeric(grid[[smooth$by]])) grid[[smooth$by]] <- 1
    said <- predict(fit, grid, type = "terms", terms = smooth$label, se.fit = TRUE)
    data.frame(label = smooth$label, x = grid[[smooth$term]], fit = said$fit[, 1], se = said$se.fit[, 1])
  })
  do.call(rbind, found)
}

answer <- function(folder) {
  at <- function(name) file.path(folder, name)
  table <- read.csv(at("table.csv"), stringsAsFactors = TRUE, na.strings = c("NA", ""))
  formula <- as.formula(readLines(at("formula.txt")), env = globalenv())
  responses <- doubles(at("responses.bin"), nrow(table))
  table$w <- 1
  if (file.exists(at("weights.bin"))) table$w <- doubles(at("weights.bin"), nrow(table))[, 1]
  table$y <- seq_len(nrow(table))
  whole <- gam(formula, data = table, weights = w)
  used <- as.integer(rownames(model.frame(whole)))
  columns <- predict(whole, type = "lpmatrix")
  results <- lapply(seq_len(ncol(responses)), function(element) {
    table$y <- responses[, element]
    shifted <- table$y[used] - whole$offset
    here <- is.finite(table$y[used])
    weights <- table$w[used]
    tests <- exact(whole, shifted[here], weights[here], columns[here, , drop = FALSE])
    if (!all(here)) {
      part <- lm(shifted ~ 0 + columns, weights = weights)
      found <- summary(part)$coefficients
      rownames(found) <- sub("columns", "", rownames(found))
      parametric <- colnames(columns)[seq_len(whole$nsdf)]
      return(c(tests, coefficients_of(found[parametric, , drop = FALSE])))
    }
    fit <- gam(formula, data = table, weights = w)
    if (element == 1 && file.exists(at("curves"))) write.csv(curves_of(fit, table), at("curves.csv"))
    said <- summary(fit)
    smooths <- said$s.table
    colnames(smooths) <- c("edf", "ref.df", "statistic", "p.value")
    c(tests,
      unlist(lapply(rownames(smooths), function(label) prefixed(short(label), smooths[label, ]))),
      coefficients_of(said$p.table), prefixed("model", model_of(fit)),
      changed(fit, formula, table))
  })
  names <- unique(unlist(lapply(results, names)))
  filled <- do.call(rbind, lapply(results, function(found) found[names]))
  colnames(filled) <- names
  filled[] <- formatC(filled, digits = 17, format = "g")
  write.csv(filled, at("results.csv"), row.names = FALSE)
}

input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  said <- tryCatch({ answer(line); "done" }, error = conditionMessage)
  cat(gsub("\n", " ", said), "\n", sep = "")
}
