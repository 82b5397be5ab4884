# Runs fit scripts up to the model, and writes of each what it is about to fit:
# its formula, its rows, coefficients and rank, what lm would drop; a line for each script.
# Rscript designs.R SCRIPT...
for (script in commandArgs(trailingOnly = TRUE)) {
  seen <- new.env()
  seen$library <- function(...) NULL
  seen$ModelArray <- function(filepath, scalar_types) NULL
  seen$writeResults <- function(...) NULL
  seen$ModelArray.lm <- function(formula, data, phenotypes, scalar, num.subj.lthr.abs, ...) {
    phenotypes[[scalar]] <- 0
    frame <- stats::model.frame(formula, phenotypes)
    design <- stats::model.matrix(formula, frame)
    cat(
      nrow(phenotypes), nrow(design), ncol(design), qr(design)$rank, num.subj.lthr.abs,
      encodeString(paste(deparse(formula, width.cutoff = 500), collapse = "")), sep = "\t"
    )
    cat("\n")
  }
  suppressMessages(sys.source(script, seen))
}
