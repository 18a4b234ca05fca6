# What survival::survreg finds of censored times and intervals: writes survival.json. Kalbfleisch and Prentice's
# lung cancer data (lung), whose times are right-censored; the same seen every ninety days only; its help page's
# Gaussian model of Tobin's data (tobin), left-censored.
suppressMessages(library(survival))
lung <- na.omit(survival::cancer[, c("time", "status", "age", "sex", "ph.ecog")])
lung$seen <- lung$status - 1
lung$lower <- ifelse(lung$seen == 1, 90 * floor(lung$time / 90), lung$time)
lung$upper <- ifelse(lung$seen == 1, 90 * ceiling(lung$time / 90), Inf)
lung$lower[lung$seen == 1 & lung$lower == lung$upper] <- lung$lower[lung$seen == 1 & lung$lower == lung$upper] - 90
tobin <- survival::tobin
one <- function(fit) list(
  logLik = fit$loglik[2], coefficients = as.list(coef(fit)), scale = fit$scale,
  se = as.list(sqrt(diag(vcov(fit))))
)
ends <- with(lung, Surv(ifelse(lower > 0, lower, NA), ifelse(is.finite(upper), upper, NA), type = "interval2"))
tight <- survreg.control(rel.tolerance = 1e-12)
out <- list(
  version = as.character(packageVersion("survival")),
  lung = as.list(lung[, c("time", "seen", "age", "sex", "ph.ecog", "lower")]), tobin = as.list(tobin),
  upper = ifelse(is.finite(lung$upper), lung$upper, -1),
  weibull = one(survreg(Surv(time, seen) ~ age + sex + ph.ecog, lung, control = tight)),
  weibull_interval = one(survreg(ends ~ age + sex + ph.ecog, lung, control = tight)),
  gaussian = one(survreg(Surv(durable, durable > 0, type = "left") ~ age + quant, tobin, dist = "gaussian", control = tight)),
  gaussian_interval = one(survreg(ends ~ age + sex + ph.ecog, lung, dist = "gaussian", control = tight))
)
cat(jsonlite::toJSON(out, auto_unbox = TRUE, digits = 12), "\n", sep = "", file = "survival.json")
