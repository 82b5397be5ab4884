# What fit scripts ask of ModelArray. Arguments and their defaults, what is refused, which elements
# are skipped and the names of results are those that its reference documents
# (https://pennlinc.github.io/ModelArray/reference); where it would warn or mix things up, this stops.

ModelArray <- function(filepath, scalar_types = c("FD"), analysis_names = character(0)) {
  read <- function(leaf) rhdf5::h5read(filepath, paste0("scalars/", scalar_types, "/", leaf))
  list(scalar = scalar_types, values = read("values"), sources = as.character(read("column_names")))
}

ModelArray.lm <- function(formula, data, phenotypes, scalar = NULL, element.subset = NULL,
                          full.outputs = FALSE,
                          var.terms = c("estimate", "statistic", "p.value"),
                          var.model = c("adj.r.squared", "p.value"),
                          correct.p.value.terms = c("fdr"), correct.p.value.model = c("fdr"),
                          num.subj.lthr.abs = 10, num.subj.lthr.rel = 0.2,
                          verbose = TRUE, pbar = TRUE, n_cores = 1) {
  stopifnot(
    identical(scalar, data$scalar), identical(as.character(formula[[2]]), scalar),
    !(scalar %in% names(phenotypes)), n_cores >= 1, n_cores == round(n_cores),
    setequal(data$sources, phenotypes$source_file), !anyDuplicated(phenotypes$source_file)
  )
  phenotypes <- phenotypes[match(data$sources, phenotypes$source_file), ]
  fewest <- max(num.subj.lthr.abs, num.subj.lthr.rel * nrow(phenotypes))
  fits <- lapply(seq_len(nrow(data$values)), function(element) {
    phenotypes[[scalar]] <- data$values[element, ]
    if (sum(is.finite(phenotypes[[scalar]])) <= fewest) return(NULL)
    one_row(stats::lm(formula, phenotypes), var.terms, var.model)
  })
  fitted <- which(!vapply(fits, is.null, NA))
  names <- lapply(fits[fitted], names)
  stopifnot(length(fitted) > 0, length(unique(names)) == 1)
  table <- matrix(NaN, length(fits), length(names[[1]]), dimnames = list(NULL, names[[1]]))
  table[fitted, ] <- do.call(rbind, fits[fitted])
  result <- data.frame(element_id = seq_along(fits) - 1, table, check.names = FALSE)
  for (name in grep("\\.p\\.value$", names(result), value = TRUE)) {
    result[[paste0(name, ".fdr")]] <- stats::p.adjust(result[[name]], "fdr")
  }
  result
}

# As its reference has it: skipped elements are NaN, and the first that can be fitted names the columns.
ModelArray.wrap <- function(FUN, data, phenotypes, scalar, element.subset = NULL,
                            num.subj.lthr.abs = 10, num.subj.lthr.rel = 0.2,
                            verbose = TRUE, pbar = TRUE, n_cores = 1, on_error = "stop", ...) {
  stopifnot(
    is.function(FUN), identical(scalar, data$scalar), !(scalar %in% names(phenotypes)),
    n_cores >= 1, on_error %in% c("stop", "skip", "debug"),
    setequal(data$sources, phenotypes$source_file), !anyDuplicated(phenotypes$source_file)
  )
  phenotypes <- phenotypes[match(data$sources, phenotypes$source_file), ]
  fewest <- max(num.subj.lthr.abs, num.subj.lthr.rel * nrow(phenotypes))
  fits <- lapply(seq_len(nrow(data$values)), function(element) {
    phenotypes[[scalar]] <- data$values[element, ]
    if (sum(is.finite(phenotypes[[scalar]])) <= fewest) return(NULL)
    if (on_error == "stop") return(unlist(FUN(data = phenotypes, ...)))
    tryCatch(unlist(FUN(data = phenotypes, ...)), error = function(condition) NULL)
  })
  fitted <- which(!vapply(fits, is.null, NA))
  names <- unique(lapply(fits[fitted], names))
  stopifnot(length(fitted) > 0, length(names) == 1)
  table <- matrix(NaN, length(fits), length(names[[1]]), dimnames = list(NULL, names[[1]]))
  table[fitted, ] <- do.call(rbind, fits[fitted])
  data.frame(element_id = seq_along(fits) - 1, table, check.names = FALSE)
}

# As broom's tidy() and glance() name them; statistics of a model without terms are missing.
one_row <- function(fit, var.terms, var.model) {
  found <- summary(fit)
  terms <- found$coefficients[match(names(stats::coef(fit)), rownames(found$coefficients)), , drop = FALSE]
  colnames(terms) <- c("estimate", "std.error", "statistic", "p.value")
  rows <- sub("(Intercept)", "Intercept", names(stats::coef(fit)), fixed = TRUE)
  f <- found$fstatistic
  glance <- c(
    adj.r.squared = found$adj.r.squared, nobs = stats::nobs(fit),
    p.value = if (is.null(f)) NA else stats::pf(f[[1]], f[[2]], f[[3]], lower.tail = FALSE)
  )
  c(
    stats::setNames(as.vector(terms[, var.terms]), outer(rows, var.terms, paste, sep = ".")),
    stats::setNames(glance[var.model], paste0("model.", var.model))
  )
}

writeResults <- function(fn.output, df.output, analysis_name = "myAnalysis", overwrite = TRUE) {
  stopifnot(is.data.frame(df.output), all(vapply(df.output, is.numeric, NA)))
  group <- paste0("results/", analysis_name)
  there <- rhdf5::h5ls(fn.output)
  if (!any(there$group == "/" & there$name == "results")) rhdf5::h5createGroup(fn.output, "results")
  if (any(there$group == "/results" & there$name == analysis_name)) {
    rhdf5::h5delete(fn.output, group)
  }
  rhdf5::h5createGroup(fn.output, group)
  rhdf5::h5write(unname(as.matrix(df.output)), fn.output, paste0(group, "/results_matrix"))
  rhdf5::h5write(names(df.output), fn.output, paste0(group, "/column_names"))
  rhdf5::h5closeAll()
}
