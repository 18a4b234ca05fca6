// log f(y | eta) of one expert for one vector of rows, with its derivatives in the linear predictors.
// Twins of src/moestro/experts/*.py. A family states
//   prepare(expert)                   constants of the expert (variance)
//   log_density(eta, y, s, p)         log f up to a term in y alone; fills scores s and scratch p
//   information(c, d, s, p)           -E[d2 log f / d eta_c d eta_d]
//   curvature(c, d, s, p)             d2 log f / d eta_c d eta_d
#pragma once
#include <cmath>

#include "problem.hpp"
#include "simd.hpp"

namespace moestro {
namespace MOESTRO_ISA {

constexpr double kPoissonCap = 300.0;  // keeps exp(eta)^2 finite; twin: experts/poisson.py
constexpr double kFastLogit = 150.0;   // below it, products of two exponentials stay normal numbers

struct Multinomial {
    static constexpr int nuisance = 0;
    static constexpr bool has_linear_form = true;
    int m;
    Multinomial(const Problem& pr, const double*) : m(pr.m) {}
    void prepare(int) {}

    // f itself, for logits known to be small: no maximum, no logarithm.
    inline V density(const double* eta, V y, V* s, V* p) const {
        V sum = set1(1.0), fy = set1(1.0);
        for (int c = 0; c < m; ++c) {
            p[c] = exp_core(load(eta + c * kBlock));
            sum += p[c];
            fy = y == set1(double(c)) ? p[c] : fy;
        }
        const V inv = set1(1.0) / sum;
        for (int c = 0; c < m; ++c) {
            p[c] *= inv;
            s[c] = (y == set1(double(c)) ? set1(1.0) : V{}) - p[c];
        }
        return fy * inv;
    }
    inline V log_density(const double* eta, V y, V* s, V* p) const {
        V top{}, ey{};
        for (int c = 0; c < m; ++c) {
            const V u = load(eta + c * kBlock);
            top = vmax(top, u);
            ey = y == set1(double(c)) ? u : ey;
        }
        V sum = exp_any(-top);
        for (int c = 0; c < m; ++c) {
            p[c] = exp_any(load(eta + c * kBlock) - top);
            sum += p[c];
        }
        const V inv = set1(1.0) / sum;
        for (int c = 0; c < m; ++c) {
            p[c] *= inv;
            s[c] = (y == set1(double(c)) ? set1(1.0) : V{}) - p[c];
        }
        return ey - top - log_pos(sum);
    }
    inline V information(int c, int d, const V*, const V* p) const {
        return c == d ? p[c] * (set1(1.0) - p[c]) : -(p[c] * p[d]);
    }
    inline V curvature(int c, int d, const V* s, const V* p) const { return -information(c, d, s, p); }
};

struct Gaussian {
    static constexpr int nuisance = 1;
    static constexpr bool has_linear_form = false;
    const double* log_variance;
    V precision{}, constant{};
    Gaussian(const Problem& pr, const double* theta)
        : log_variance(theta + pr.gate_logits() * pr.q() + pr.k * pr.p()) {}
    void prepare(int e) {
        precision = set1(std::exp(-log_variance[e]));
        constant = set1(-0.5 * (log_variance[e] + 1.8378770664093454836));
    }
    inline V density(const double*, V, V*, V*) const { return V{}; }
    inline V log_density(const double* eta, V y, V* s, V* p) const {
        const V r = y - load(eta);
        p[0] = r * r * precision;
        s[0] = r * precision;
        s[1] = set1(0.5) * (p[0] - set1(1.0));
        return constant - set1(0.5) * p[0];
    }
    inline V information(int c, int d, const V*, const V*) const {
        return c != d ? V{} : c == 0 ? precision : set1(0.5);
    }
    inline V curvature(int c, int d, const V* s, const V* p) const {
        return c != d ? -s[0] : c == 0 ? -precision : set1(-0.5) * p[0];
    }
};

struct Poisson {
    static constexpr int nuisance = 0;
    static constexpr bool has_linear_form = false;
    Poisson(const Problem&, const double*) {}
    void prepare(int) {}
    inline V density(const double*, V, V*, V*) const { return V{}; }
    inline V log_density(const double* eta, V y, V* s, V* p) const {
        const V u = vmin(load(eta), set1(kPoissonCap));
        p[0] = exp_any(u);
        s[0] = y - p[0];
        return y * u - p[0];
    }
    inline V information(int, int, const V*, const V* p) const { return p[0]; }
    inline V curvature(int, int, const V*, const V* p) const { return -p[0]; }
};

}  // namespace MOESTRO_ISA
}  // namespace moestro
