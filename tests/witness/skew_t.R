# What sn::selm finds of its data sets with skew t errors, its density and distribution function, and those data:
# writes skew_t.json. Australian athletes (ais) and wines of Piedmont (wines).
suppressMessages(library(sn))
data("ais"); data("wines")
one <- function(formula, data) {
  fits <- lapply(c(-3, -0.5, 0.5, 3), function(slant) tryCatch({
    start <- coef(lm(formula, data)); s <- sd(resid(lm(formula, data)))
    selm(formula, family = "ST", data = data, start = list(beta = start, omega = s, alpha = slant, nu = 8),
         opt.method = "nlminb")
  }, error = function(e) NULL))
  fits <- c(fits, list(selm(formula, family = "ST", data = data, opt.method = "nlminb")))
  fits <- Filter(Negate(is.null), fits)
  fit <- fits[[which.max(sapply(fits, function(f) as.numeric(logLik(f))))]]
  list(logLik = as.numeric(logLik(fit)), dp = as.list(coef(fit, "DP")))
}
grid <- expand.grid(y = c(-6, -1, -0.01, 0.3, 2, 9), slant = c(-20, -1.5, 0, 0.7, 6), nu = c(1.5, 4, 30))
out <- list(
  version = as.character(packageVersion("sn")),
  grid = as.list(grid),
  density = mapply(function(y, a, n) dst(y, 0.5, 2, a, n, log = TRUE), grid$y, grid$slant, grid$nu),
  cdf = mapply(function(y, a, n) pst(y, 0.5, 2, a, n), grid$y, grid$slant, grid$nu),
  ais = as.list(ais[, c("BMI", "LBM", "Bfat", "Ht")]), wines = as.list(wines[, c("alcohol", "glycerol", "sugar")]),
  athletes = one(BMI ~ LBM + Ht, ais), fat = one(Bfat ~ BMI + LBM, ais), bottles = one(alcohol ~ glycerol + sugar, wines)
)
cat(jsonlite::toJSON(out, auto_unbox = TRUE, digits = 12), "\n", sep = "", file = "skew_t.json")
