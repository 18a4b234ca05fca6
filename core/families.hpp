// log f(y | eta) of one expert for a block of rows, with its derivatives in the linear predictors.
// Twins of src/moestro/experts/*.py. A family states, on arrays of `len` rows kBlock apart,
//   density(e, len, eta, y, s, p, out)   log f less a term in y alone (f itself in the linear form) in `out`;
//                                        scores in s, what the curvature needs in p
//   information(e, c, d, s, p, v)        -E[d2 log f / d eta_c d eta_d] of the rows at v
//   curvature(e, c, d, s, p, v)          d2 log f / d eta_c d eta_d
//   at_rows(start, rows)                      where the block begins, for families that read the caller's
//   rows
// and `scratch(problem)`, the columns of p that an expert needs.
// Each sweep over the block is short and its rows independent: the units, not a chain of latencies, set the
// pace.
#pragma once
#include <cmath>

#include "problem.hpp"
#include "simd.hpp"

namespace moestro {
namespace MOESTRO_ISA {

constexpr double kPoissonCap = 300.0;  // keeps exp(eta)^2 finite; twin: experts/poisson.py
constexpr double kExactCount = 65536.0;  // above it y eta - exp(eta) cancels; twin: experts/poisson.py
constexpr double kFastLogit = 150.0;   // below it, products of two exponentials stay normal numbers

static inline V at(const double* a, int row, int v) { return load(a + size_t(row) * kBlock + v); }
static inline void put(double* a, int row, int v, V value) { store(a + size_t(row) * kBlock + v, value); }

// `Linear`: f itself for logits known to be small, without maximum and logarithm.
template <bool Linear>
struct Multinomial {
    static constexpr bool linear = Linear;
    int m;
    Multinomial(const Problem& pr, const Request&) : m(pr.m) {}
    static int scratch(const Problem& pr) { return pr.m; }
    void at_rows(int64_t, int) const {}

    inline void density(int, int len, const double* eta, const double* y, double* s, double* p,
                        double* out) const {
        if constexpr (Linear) {
            for (int c = 0; c < m; ++c)
                for (int v = 0; v < len; v += W) put(p, c, v, exp_core(at(eta, c, v)));
            for (int v = 0; v < len; v += W) {
                V sum = set1(1.0);
                for (int c = 0; c < m; ++c) sum += at(p, c, v);
                const V inv = set1(1.0) / sum, label = load(y + v);
                V f = inv;
                for (int c = 0; c < m; ++c) {
                    const V q = at(p, c, v) * inv;
                    const I hit = label == set1(double(c));
                    f = hit ? q : f;
                    put(p, c, v, q);
                    put(s, c, v, (hit ? set1(1.0) : V{}) - q);
                }
                store(out + v, f);
            }
        } else {
            for (int v = 0; v < len; v += W) {
                V top{}, ey{};
                const V label = load(y + v);
                for (int c = 0; c < m; ++c) {
                    const V u = at(eta, c, v);
                    top = vmax(top, u);
                    ey = label == set1(double(c)) ? u : ey;
                }
                V sum = exp_any(-top);
                for (int c = 0; c < m; ++c) {
                    const V e = exp_any(at(eta, c, v) - top);
                    put(p, c, v, e);
                    sum += e;
                }
                const V inv = set1(1.0) / sum;
                for (int c = 0; c < m; ++c) {
                    const V q = at(p, c, v) * inv;
                    put(p, c, v, q);
                    put(s, c, v, (label == set1(double(c)) ? set1(1.0) : V{}) - q);
                }
                store(out + v, ey - top - log_pos(sum));
            }
        }
    }
    inline V information(int, int c, int d, const double*, const double* p, int v) const {
        const V a = at(p, c, v);
        return c == d ? a * (set1(1.0) - a) : -(a * at(p, d, v));
    }
    inline V curvature(int e, int c, int d, const double* s, const double* p, int v) const {
        return -information(e, c, d, s, p, v);
    }
};

struct Gaussian {
    static constexpr bool linear = false;
    std::vector<double> precision, constant;
    static int scratch(const Problem&) { return 1; }
    void at_rows(int64_t, int) const {}
    Gaussian(const Problem& pr, const Request& rq) {
        const double* log_variance = rq.theta + pr.gate_size() + pr.k * pr.p();
        for (int e = 0; e < pr.k; ++e) {
            precision.push_back(std::exp(-log_variance[e]));
            constant.push_back(-0.5 * (log_variance[e] + 1.8378770664093454836));
        }
    }
    inline void density(int e, int len, const double* eta, const double* y, double* s, double* p,
                        double* out) const {
        const V tau = set1(precision[e]), c0 = set1(constant[e]), half = set1(0.5);
        for (int v = 0; v < len; v += W) {
            const V r = load(y + v) - load(eta + v), q = r * r * tau;
            store(p + v, q);
            put(s, 0, v, r * tau);
            put(s, 1, v, half * (q - set1(1.0)));
            store(out + v, c0 - half * q);
        }
    }
    inline V information(int e, int c, int d, const double*, const double*, int) const {
        return c != d ? V{} : c == 0 ? set1(precision[e]) : set1(0.5);
    }
    inline V curvature(int e, int c, int d, const double* s, const double* p, int v) const {
        return c != d ? -at(s, 0, v) : c == 0 ? set1(-precision[e]) : set1(-0.5) * load(p + v);
    }
};

struct Poisson {
    static constexpr bool linear = false;
    Poisson(const Problem&, const Request&) {}
    static int scratch(const Problem&) { return 1; }
    void at_rows(int64_t, int) const {}
    inline void density(int, int len, const double* eta, const double* y, double* s, double* p,
                        double* out) const {
        for (int v = 0; v < len; v += W) {
            const V u = vmin(load(eta + v), set1(kPoissonCap)), rate = exp_any(u), count = load(y + v);
            const I large = count > set1(kExactCount);
            V score = count - rate, density = count * u - rate;
            if (any_true(large)) {
                const V d = u - log_pos(large ? count : set1(1.0)), beyond = excess(d);
                score = large ? -(count * (d + beyond)) : score;
                density = large ? -(count * beyond) : density;
            }
            store(p + v, rate);
            store(s + v, score);
            store(out + v, density);
        }
    }
    // exp(d) - 1 - d, below 1/2 by its series: the difference would cancel.
    static inline V excess(V d) {
        const V q =
            horner(d, 1.0 / 1307674368000.0, 1.0 / 87178291200.0, 1.0 / 6227020800.0, 1.0 / 479001600.0,
                   1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0, 1.0 / 5040.0,
                   1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0);
        return vabs(d) < set1(0.5) ? q * d * d : exp_any(d) - set1(1.0) - d;
    }
    inline V information(int, int, int, const double*, const double* p, int v) const { return load(p + v); }
    inline V curvature(int, int, int, const double*, const double* p, int v) const { return -load(p + v); }
};

// Terms that a family in Python has computed: copied from the caller's arrays, and summed like those of the
// others.
struct Outside {
    static constexpr bool linear = false;
    const Terms& terms;
    const int order, mm;
    mutable int64_t start = 0;
    mutable int rows = 0;
    Outside(const Problem& pr, const Request& rq) : terms(*rq.terms), order(rq.order), mm(pr.m + pr.nu) {}
    static int triangle(int mm) { return mm * (mm + 1) / 2; }
    static int scratch(const Problem& pr) { return 2 * triangle(pr.m + pr.nu); }
    void at_rows(int64_t first, int count) const {
        start = first;
        rows = count;
    }
    int place(int c, int d) const { return c <= d ? c * mm - c * (c - 1) / 2 + d - c : place(d, c); }

    void copy(const Given& from, int e, int c, int d, int len, double* out) const {
        const double* a = from.data + start * from.strides[0] + e * from.strides[1] + c * from.strides[2] +
                          d * from.strides[3];
        for (int i = 0; i < rows; ++i) out[i] = a[i * from.strides[0]];
        for (int i = rows; i < len; ++i) out[i] = 0.0;
    }
    inline void density(int e, int len, const double*, const double*, double* s, double* p,
                        double* out) const {
        copy(terms.density, e, 0, 0, len, out);
        for (int c = 0; order >= 1 && c < mm; ++c) copy(terms.score, e, c, 0, len, s + size_t(c) * kBlock);
        for (int c = 0; order >= 2 && c < mm; ++c)
            for (int d = c; d < mm; ++d) {
                copy(terms.information, e, c, d, len, p + size_t(place(c, d)) * kBlock);
                if (order >= 3)
                    copy(terms.curvature, e, c, d, len, p + size_t(triangle(mm) + place(c, d)) * kBlock);
            }
    }
    inline V information(int, int c, int d, const double*, const double* p, int v) const {
        return at(p, place(c, d), v);
    }
    inline V curvature(int, int c, int d, const double*, const double* p, int v) const {
        return at(p, triangle(mm) + place(c, d), v);
    }
};

}  // namespace MOESTRO_ISA
}  // namespace moestro
