# What flexmix finds with coefficients that are the same in all components (FLXMRglmfix): Rscript flexmix_common.R > flexmix_common.json
# Data: NregFix, dmft, bioChemists, salmonellaTA98 and tribolium of the package. The best of 8 starts; logLik is that of
# single trials where these are counted, so that log-likelihoods compare.
suppressMessages(library(flexmix))
set.seed(1)
best <- function(...) {
  found <- list()
  for (i in 1:8) {
    m <- tryCatch(flexmix(..., control = list(iter.max = 2000, tolerance = 1e-12, minprior = 0)), error = function(e) NULL)
    if (!is.null(m)) found[[length(found) + 1]] <- m
  }
  found[[which.max(sapply(found, function(m) as.numeric(logLik(m))))]]
}
number <- function(v) paste0("[", paste(sprintf("%.15g", v), collapse = ", "), "]")
says <- function(name, m) {
  table <- as.matrix(parameters(m))
  rows <- paste(sprintf('"%s": %s', rownames(table), apply(table, 1, number)), collapse = ", ")
  message(name)
  sprintf('"%s": {"log_likelihood": %.10f, "df": %d, "prior": %s, "parameters": {%s}}', name, as.numeric(logLik(m)),
          attr(logLik(m), "df"), number(prior(m)), rows)
}
columns <- function(name, d) {
  cells <- sapply(d, function(v) if (is.numeric(v)) number(as.numeric(v)) else paste0('["', paste(v, collapse = '", "'), '"]'))
  sprintf('"%s": {%s}', name, paste(sprintf('"%s": %s', names(d), cells), collapse = ",\n  "))
}

data(NregFix); NregFix$y <- as.numeric(NregFix$y)
data(dmft); data(bioChemists); data(salmonellaTA98); data(tribolium)
poisson <- function(fixed) FLXMRglmfix(family = "poisson", fixed = fixed)
single <- function(d, yes, no) {  # one row a trial
  out <- d[rep(seq_len(nrow(d)), yes + no), , drop = FALSE]
  out$hit <- unlist(mapply(function(a, b) rep(1:0, c(a, b)), yes, no, SIMPLIFY = FALSE))
  out
}
beetles <- single(tribolium, tribolium$Remaining, tribolium$Total - tribolium$Remaining)
binomial <- function(fixed) FLXMRglmfix(family = "binomial", fixed = fixed)
out <- c(
  says("gaussian", best(y ~ x1, data = NregFix, k = 2, model = FLXMRglmfix(fixed = ~x2))),
  says("gaussian three", best(y ~ x1, data = NregFix, k = 3, model = FLXMRglmfix(fixed = ~x2))),
  says("gaussian variance", best(y ~ x1, data = NregFix, k = 3, model = FLXMRglmfix(fixed = ~x2, varFix = TRUE))),
  says("gaussian gate", best(y ~ x1, data = NregFix, k = 2, model = FLXMRglmfix(fixed = ~x2), concomitant = FLXPmultinom(~w))),
  says("teeth", best(End ~ 1, data = dmft, k = 2, model = poisson(~ log(Begin + 0.5)))),
  says("teeth gate", best(End ~ 1, data = dmft, k = 2, model = poisson(~ log(Begin + 0.5) + Gender + Ethnic),
                          concomitant = FLXPmultinom(~Treatment))),
  says("articles", best(art ~ 1, data = bioChemists, k = 2, model = poisson(~ fem + mar + kid5 + phd + ment))),
  says("articles slope", best(art ~ ment, data = bioChemists, k = 2, model = poisson(~ fem + mar + kid5 + phd))),
  says("salmonella", best(y ~ 1, data = salmonellaTA98, k = 2, model = poisson(~ x + log(x + 10)))),
  says("beetles", best(cbind(hit, 1 - hit) ~ 1 | Replicate, data = beetles, k = 2, model = binomial(~Species)))
)
cat("{\n", paste(c(out, columns("NregFix", NregFix), columns("dmft", dmft), columns("bioChemists", bioChemists),
  columns("salmonellaTA98", salmonellaTA98), columns("tribolium", tribolium)), collapse = ",\n"), "\n}\n", sep = "")
