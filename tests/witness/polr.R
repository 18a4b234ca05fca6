# What MASS::polr finds of satisfaction with housing in Copenhagen (Madsen, 1976): Rscript polr.R > polr.json
suppressMessages(library(MASS))
number <- function(v) paste0("[", paste(sprintf("%.15g", v), collapse = ", "), "]")
columns <- sapply(housing, function(v) if (is.numeric(v)) number(v) else paste0('["', paste(v, collapse = '", "'), '"]'))
m <- polr(Sat ~ Infl + Type + Cont, weights = Freq, data = housing, Hess = TRUE, control = list(reltol = 1e-15, maxit = 10000))
cat(sprintf('{"log_likelihood": %.10f, "terms": ["%s"], "slopes": %s, "se": %s, "thresholds": %s,\n "data": {%s}}\n',
            as.numeric(logLik(m)), paste(names(coef(m)), collapse = '", "'), number(coef(m)),
            number(sqrt(diag(vcov(m)))[seq_along(coef(m))]), number(m$zeta),
            paste(sprintf('"%s": %s', names(housing), columns), collapse = ",\n  ")))
