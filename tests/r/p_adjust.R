# For each line of p values on standard input, a line for each method of p.adjust. Rscript p_adjust.R
input <- file('stdin', 'r')
while (length(line <- readLines(input, n = 1)) > 0) {
  p <- as.numeric(sub('nan', 'NaN', strsplit(line, ' ')[[1]]))
  for (method in c('holm', 'hochberg', 'hommel', 'bonferroni', 'BH', 'BY', 'fdr', 'none')) {
    cat(sprintf('%a', p.adjust(p, method)), '\n')
  }
  flush(stdout())
}
