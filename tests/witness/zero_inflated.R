# What pscl finds of counts with too many zeros: Rscript zero_inflated.R > zero_inflated.json
# Data: bioChemists of the package (Long, 1990), whose rows flexmix_common.json holds. zeroinfl is a mixture of a point at
# zero and a count with a logit of zero; hurdle one of a point at zero and a count that is not zero, with a logit of not zero.
suppressMessages(library(pscl))
data(bioChemists)
number <- function(v) paste0("[", paste(sprintf("%.15g", v), collapse = ", "), "]")
says <- function(name, m, zero, count) {
  both <- function(v) sprintf('{"zero": %s, "count": %s}', number(zero * v[grep("^zero_", names(v))]), number(v[grep("^count_", names(v))]))
  se <- sqrt(diag(vcov(m)))
  sprintf('"%s": {"log_likelihood": %.10f, "df": %d, "estimate": %s, "se": {"zero": %s, "count": %s}}', name,
          as.numeric(logLik(m)), attr(logLik(m), "df"), both(coef(m)),
          number(se[grep("^zero_", names(se))]), number(se[grep("^count_", names(se))]))
}
how <- list(reltol = 1e-15, maxit = 100000)
zi <- function(dist) zeroinfl(art ~ . | ., data = bioChemists, dist = dist, control = do.call(zeroinfl.control, how))
hu <- hurdle(art ~ . | ., data = bioChemists, dist = "poisson", control = do.call(hurdle.control, how))
cat("{", paste(c(says("zero,poisson", zi("poisson"), 1), says("zero,negative-binomial", zi("negbin"), 1),
                 says("zero,truncated-poisson", hu, -1)), collapse = ",\n "), "}\n", sep = "")
