# Standard errors of survey samples by R's survey (svyglm): the stratified and the cluster sample of California's
# schools of 2000 (data set api of the package; Academic Performance Index): survey.json.
# Rscript tests/witness/survey.R > tests/witness/survey.json
suppressPackageStartupMessages(library(survey))
options(digits = 15)
data(api)
show <- function(v) paste0("[", paste(format(v, digits = 15, trim = TRUE), collapse = ", "), "]")
text <- function(v) paste0("[", paste0('"', v, '"', collapse = ", "), "]")
fit <- function(design, family) {
  f <- if (family == "gaussian") api00 ~ ell + meals else api.stu ~ ell + meals
  m <- if (family == "gaussian") svyglm(f, design) else svyglm(f, design, family = quasipoisson(),
                                                                   control = list(epsilon = 1e-14, maxit = 100))
  paste0('{"estimate": ', show(coef(m)), ', "se": ', show(sqrt(diag(vcov(m)))), "}")
}
designs <- list(
  strata = svydesign(id = ~1, strata = ~stype, weights = ~pw, data = apistrat),
  strata_fpc = svydesign(id = ~1, strata = ~stype, weights = ~pw, data = apistrat, fpc = ~fpc),
  clusters = svydesign(id = ~dnum, weights = ~pw, data = apiclus1),
  clusters_fpc = svydesign(id = ~dnum, weights = ~pw, data = apiclus1, fpc = ~fpc))
cat("{\n")
for (name in names(designs)) for (family in c("gaussian", "poisson"))
  cat(' "', name, "_", family, '": ', fit(designs[[name]], family), ",\n", sep = "")
for (name in c("apistrat", "apiclus1")) {
  d <- get(name)
  cat(' "', name, '": {"api00": ', show(d$api00), ', "students": ', show(d$api.stu), ', "ell": ', show(d$ell),
      ', "meals": ', show(d$meals), ', "pw": ', show(d$pw), ', "fpc": ', show(d$fpc), ', "stype": ', text(d$stype),
      ', "dnum": ', show(d$dnum), "}", if (name == "apistrat") "," else "", "\n", sep = "")
}
cat("}\n")
