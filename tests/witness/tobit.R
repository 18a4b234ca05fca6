# What AER::tobit finds of Affairs (Fair, 1978), its help page's models, and their data: writes tobit.json.
suppressMessages(library(AER))
data("Affairs")
formula <- affairs ~ age + yearsmarried + religiousness + occupation + rating
one <- function(...) {
  fit <- tobit(formula, data = Affairs, ...)
  list(
    logLik = as.numeric(logLik(fit)), coefficients = as.list(coef(fit)), scale = fit$scale,
    se = as.list(sqrt(diag(vcov(fit))))
  )
}
columns <- c("affairs", "age", "yearsmarried", "religiousness", "occupation", "rating")
out <- list(
  version = as.character(packageVersion("AER")), data = as.list(Affairs[, columns]),
  left = one(left = 0), both = one(left = 0, right = 4)
)
cat(jsonlite::toJSON(out, auto_unbox = TRUE, digits = 12), "\n", sep = "", file = "tobit.json")
