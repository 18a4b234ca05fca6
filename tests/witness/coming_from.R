# What docs/coming_from.md says of flexmix and mixtools. Rscript coming_from.R > coming_from.json
# Data: tonedata of mixtools (also our "tone"), epil of MASS (also our "epilepsy"), NPreg of flexmix.
suppressPackageStartupMessages({library(flexmix); library(mixtools); library(MASS); library(jsonlite)})
data(tonedata); data(NPreg)
best <- function(...) { set.seed(1); stepFlexmix(..., nrep = 20, verbose = FALSE, control = list(iter.max = 2000, tolerance = 1e-10)) }
a <- best(tuned ~ stretchratio, data = tonedata, k = 2)
b <- best(tuned ~ stretchratio, data = tonedata, k = 2, concomitant = FLXPmultinom(~stretchratio))
d <- best(y ~ log(base) + trt | subject, data = epil, k = 2, model = FLXMRglm(family = "poisson"))
set.seed(1); runs <- lapply(1:20, function(i) tryCatch(suppressWarnings({capture.output(m <- regmixEM(tonedata$tuned, tonedata$stretchratio, k = 2, epsilon = 1e-10)); m$loglik}), error = function(e) NA))
cat(toJSON(list(
  versions = list(R = as.character(getRversion()), flexmix = as.character(packageVersion("flexmix")), mixtools = as.character(packageVersion("mixtools"))),
  flexmix_tone = as.numeric(logLik(a)), flexmix_tone_df = attr(logLik(a), "df"), flexmix_tone_gate = as.numeric(logLik(b)),
  flexmix_epilepsy = as.numeric(logLik(d)), mixtools_tone = max(unlist(runs), na.rm = TRUE), mixtools_all = round(sort(unlist(runs)), 3)), auto_unbox = TRUE, digits = 10, pretty = TRUE), "\n")
