# What flexmix finds where rows share their component ("y ~ x | id"): Rscript flexmix_groups.R > flexmix_groups.json
# Data: NPreg, Mehta and whiskey of the package. The best of 40 starts; component densities without constants in y alone are
# flexmix's own, so that log-likelihoods compare.
suppressMessages(library(flexmix))
set.seed(1)
best <- function(...) {
  found <- list()
  for (i in 1:40) {
    m <- tryCatch(flexmix(..., control = list(iter.max = 2000, tolerance = 1e-12, minprior = 0)), error = function(e) NULL)
    if (!is.null(m)) found[[length(found) + 1]] <- m
  }
  found[[which.max(sapply(found, function(m) as.numeric(logLik(m))))]]
}
number <- function(v) paste0("[", paste(sprintf("%.15g", v), collapse = ", "), "]")
says <- function(name, m) {
  coefficients <- apply(as.matrix(parameters(m)), 2, number)
  sprintf('"%s": {"log_likelihood": %.10f, "df": %d, "prior": %s, "parameters": [%s]}', name, as.numeric(logLik(m)),
          attr(logLik(m), "df"), number(prior(m)), paste(coefficients, collapse = ", "))
}

data(NPreg)
NPreg$v <- as.integer(NPreg$id2) %% 5 + 2 * (as.integer(NPreg$id2) > 25)  # of the groups
out <- c(
  says("gaussian", best(yn ~ x + I(x^2) | id2, data = NPreg, k = 2)),
  says("gaussian pairs", best(yn ~ x + I(x^2) | id1, data = NPreg, k = 2)),
  says("gate", best(yn ~ x + I(x^2) | id2, data = NPreg, k = 2, concomitant = FLXPmultinom(~v))),
  says("poisson", best(yp ~ x | id2, data = NPreg, k = 2, model = FLXMRglm(family = "poisson"))),
  says("binomial", best(cbind(yb, 1 - yb) ~ x | id2, data = NPreg, k = 2, model = FLXMRglm(family = "binomial")))
)
data(Mehta)  # successes in trials at each site, written out as single trials, without binomial coefficients
trials <- Mehta[rep(seq_len(nrow(Mehta)), Mehta$Total), ]
trials$hit <- unlist(mapply(function(s, n) rep(1:0, c(s, n - s)), Mehta$Response, Mehta$Total))
out <- c(out, says("trials", best(cbind(hit, 1 - hit) ~ 1 | Site, data = trials, k = 2, model = FLXMRglm(family = "binomial"))))
data(whiskey)  # brands that a household buys: latent classes, a household being a group of 21 rows
m <- best(Incidence ~ 1, weights = ~Freq, data = whiskey, k = 2, model = FLXMCmvbinary(truncated = FALSE))
out <- c(out, says("latent classes", m))
rows <- function(d) paste0("[", paste(apply(d, 1, number), collapse = ",\n  "), "]")
cat("{\n", paste(out, collapse = ",\n"), ',\n"npreg": ',
    rows(cbind(NPreg$x, NPreg$yn, NPreg$yp, NPreg$yb, as.integer(NPreg$id1), as.integer(NPreg$id2))), ',\n"mehta": ',
    rows(cbind(as.integer(Mehta$Site), Mehta$Response, Mehta$Total)), ',\n"whiskey": ',
    paste0("{", paste(sprintf('"%s": %d', apply(whiskey$Incidence, 1, paste, collapse = ""), whiskey$Freq), collapse = ",\n  "), "}"),
    "\n}\n", sep = "")
