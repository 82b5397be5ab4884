# Fits of stats::lm, for tests. Each line of input is a folder with formula.txt, table.csv and
# responses.bin (doubles, rows of the table by elements; NaN is missing), optionally weights.bin
# and scalar.bin (a covariate "MD" of its own at each element), and the file `anova` if car's tests
# are wanted. Answered are design.bin (rows, counted from 0, offset, columns) with names.txt and
# assign.txt, terms.csv, and results.bin: by element, for each column estimate, std.error, statistic, p.value and whether it is estimable,
# then broom's glance, then F and p of each term.
options(warn = -1, contrasts = c("contr.treatment", "contr.poly"))

doubles <- function(path, rows) {
  matrix(readBin(path, "double", file.size(path) / 8), nrow = rows)
}

rank <- function(x) qr(sweep(x, 2, pmax(sqrt(colSums(x^2)), 1e-300), "/"), LAPACK = FALSE)$rank

answer <- function(folder) {
  at <- function(name) file.path(folder, name)
  table <- read.csv(at("table.csv"), stringsAsFactors = TRUE)
  formula <- as.formula(readLines(at("formula.txt")), env = environment())
  responses <- doubles(at("responses.bin"), nrow(table))
  table$w <- 1
  if (file.exists(at("weights.bin"))) table$w <- doubles(at("weights.bin"), nrow(table))[, 1]
  own <- if (file.exists(at("scalar.bin"))) doubles(at("scalar.bin"), nrow(table))
  whole <- table
  whole$y <- 0
  if (!is.null(own)) whole$MD <- 1
  frame <- model.frame(formula, whole)
  all <- model.matrix(formula, frame)
  offset <- model.offset(frame)
  made <- terms(frame)
  labels <- attr(made, "term.labels")
  used <- setdiff(seq_len(nrow(table)), attr(frame, "na.action"))
  if (is.null(offset)) offset <- numeric(length(used))
  writeBin(c(used - 1, offset, all), at("design.bin"))
  writeLines(colnames(all), at("names.txt"))
  factors <- attr(made, "factors")
  members <- function(label) paste(rownames(factors)[factors[, label] > 0], collapse = "|")
  write.csv(data.frame(term = labels, members = vapply(labels, members, "")), at("terms.csv"),
            row.names = FALSE)
  writeLines(as.character(attr(all, "assign")), at("assign.txt"))
  lines <- function(name) if (file.exists(at(name))) unname(as.matrix(read.csv(at(name), header = FALSE))) else matrix(0, 0, ncol(all))
  contrasts <- lines("contrasts.csv")
  joint <- lines("joint.csv")
  decomposed <- qr(all)
  kept <- if (is.null(own)) sort(decomposed$pivot[seq_len(decomposed$rank)]) else seq_len(ncol(all))
  with_anova <- file.exists(at("anova"))
  results <- vapply(seq_len(ncol(responses)), function(element) {
    table$y <- ifelse(is.finite(responses[, element]), responses[, element], NA)
    if (!is.null(own)) table$MD <- own[, element]
    fit <- if (all(table$w == 1, na.rm = TRUE)) lm(formula, table) else lm(formula, table, weights = w)
    full <- whole
    full$y <- table$y
    if (!is.null(own)) full$MD <- table$MD
    rows <- rownames(frame) %in% rownames(model.frame(formula, full, na.action = na.omit))
    x <- if (is.null(own)) all[rows, , drop = FALSE] else model.matrix(formula, full)
    x <- x[table$w[used][rows] %in% 0 == FALSE & !is.na(table$w[used][rows]), , drop = FALSE]
    part <- x[, kept, drop = FALSE]
    of_all <- rank(part)
    estimable <- vapply(seq_len(ncol(x)), function(j) {
      j %in% kept && rank(rbind(part, sqrt(sum(x[, j]^2)) * (kept == j))) == of_all
    }, NA)
    found <- summary(fit)$coefficients
    if (length(kept) < ncol(all)) {
      # Where levels are absent lm may keep columns that all rows together make superfluous.
      smaller <- lm(table$y[used] ~ 0 + all[, kept], weights = table$w[used], offset = offset)
      found <- summary(smaller)$coefficients
      rownames(found) <- sub("all[, kept]", "", rownames(found), fixed = TRUE)
    }
    coefficients <- found[match(colnames(all), rownames(found)), , drop = FALSE]
    tests <- if (with_anova) {
      type_two <- as.data.frame(car::Anova(fit, type = 2))
      as.matrix(type_two[match(labels, rownames(type_two)), c("F value", "Pr(>F)")])
    }
    asked <- apply(contrasts, 1, function(factors) {
      given <- intersect(colnames(all)[factors != 0], names(coef(fit)))
      if (length(given) < sum(factors != 0)) return(rep(NA, 4))
      l <- factors[match(given, colnames(all))]
      estimate <- sum(l * coef(fit)[given])
      error <- sqrt(drop(l %*% vcov(fit)[given, given] %*% l))
      c(estimate, error, estimate / error, 2 * pt(-abs(estimate / error), fit$df.residual))
    })
    response <- fit$model$y
    weights <- if (is.null(fit$weights)) rep(1, length(response)) else fit$weights
    compared <- apply(joint, 1, function(columns) {
      smaller <- lm.wfit(x[, columns == 0, drop = FALSE], response[weights > 0], weights[weights > 0])
      df <- fit$rank - smaller$rank
      ratio <- (sum(smaller$weights * smaller$residuals^2) - deviance(fit)) / df / summary(fit)$sigma^2
      c(ratio, pf(ratio, df, fit$df.residual, lower.tail = FALSE))
    })
    c(rbind(t(coefficients), estimable), unlist(broom::glance(fit)), if (with_anova) t(tests), asked, compared)
  }, numeric(5 * ncol(all) + 12 + 2 * length(labels) * with_anova + 4 * nrow(contrasts) + 2 * nrow(joint)))
  writeBin(as.vector(results), at("results.bin"))
}

input <- file("stdin", "r")
while (length(line <- readLines(input, 1)) > 0) {
  said <- tryCatch({ answer(line); "done" }, error = conditionMessage)
  cat(gsub("\n", " ", said), "\n", sep = "")
}
