# Standard errors of a Poisson and of a linear regression by R's sandwich (HC0; clusters with G / (G - 1)), and
# flexmix's refit of two Poisson experts: sandwich.json.
# Rscript tests/witness/sandwich.R > tests/witness/sandwich.json
suppressPackageStartupMessages({ library(sandwich); library(flexmix) })
n <- 120
i <- seq_len(n)
x <- sin(1.7 * i)
y <- (7 * i) %% 11 + floor(3 * (x + 1))       # counts of 0 to 16
ids <- i %% 13
pois <- glm(y ~ x, family = poisson, control = list(epsilon = 1e-14))
line <- lm(y ~ x)
show <- function(v) paste0("[", paste(format(v, digits = 12), collapse = ", "), "]")
se <- function(V) show(sqrt(diag(V)))
# sandwich multiplies by G / (G - 1) alone with type "HC0" and cadjust
cl <- function(m) vcovCL(m, cluster = ids, type = "HC0", cadjust = TRUE)
data("fabricfault", package = "flexmix")
set.seed(1)
best <- stepFlexmix(Faults ~ 1, data = fabricfault, k = 2, nrep = 20, verbose = FALSE,
                    model = FLXMRglm(Faults ~ log(Length), family = "poisson"),
                    control = list(tolerance = 1e-15, iter.max = 10000))
est <- attr(refit(best), "coef")
err <- sqrt(diag(attr(refit(best), "vcov")))
cat("{\n")
cat(' "poisson": {"estimate": ', show(coef(pois)), ', "observed": ', se(vcov(pois)),
    ', "sandwich": ', se(sandwich(pois)), ', "cluster": ', se(cl(pois)),
    ', "HC1": ', se(vcovHC(pois, type = "HC1")),
    ', "CR0": ', se(vcovCL(pois, cluster = ids, type = "HC0", cadjust = FALSE)),
    ', "CR1S": ', se(vcovCL(pois, cluster = ids, type = "HC1", cadjust = TRUE)), "},\n", sep = "")
cat(' "gaussian": {"estimate": ', show(coef(line)), ', "sandwich": ', se(vcovHC(line, type = "HC0")),
    ', "cluster": ', se(cl(line)), "},\n", sep = "")
cat(' "fabricfault": {"log_likelihood": ', format(as.numeric(logLik(best)), digits = 12),
    ', "estimate": ', show(est), ', "se": ', show(err), ', "names": ["',
    paste(names(est), collapse = '", "'), '"],\n', sep = "")
cat('  "length": ', show(fabricfault$Length), ', "faults": ', show(fabricfault$Faults), "}\n}\n", sep = "")
