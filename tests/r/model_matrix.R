# Makes the model matrix of formulas, as lm() does, for a table.
# Rscript model_matrix.R TABLE.csv FORMULAS.txt
# Of each formula a block of lines: names of columns, labels of terms, the term of each column,
# rows that are left (from 0), the offset, the values by column. An error has one line.
library(splines)
arguments <- commandArgs(trailingOnly = TRUE)
table <- read.csv(
  arguments[1], na.strings = c("", "NA"), check.names = FALSE, stringsAsFactors = TRUE
)
numbers <- function(x) paste(sprintf("%.17g", x), collapse = "\t")
for (text in readLines(arguments[2])) {
  lines <- tryCatch({
    formula <- as.formula(text)
    frame <- model.frame(formula, table, drop.unused.levels = TRUE)
    matrix <- model.matrix(formula, frame)
    offset <- model.offset(frame)
    c(
      paste(colnames(matrix), collapse = "\t"),
      paste(attr(terms(formula), "term.labels"), collapse = "\t"),
      paste(attr(matrix, "assign"), collapse = "\t"),
      paste(as.integer(rownames(matrix)) - 1, collapse = "\t"),
      if (is.null(offset)) "" else numbers(offset),
      numbers(matrix)
    )
  }, error = function(error) paste("error", gsub("\n", " ", conditionMessage(error))))
  writeLines(c(text, lines))
}
