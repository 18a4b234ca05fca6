// A mixture of k densities exp(theta_e . phi(w)), phi the monomials of degree at most two of D columns: the
// sums of one EM step. E-step and M-step are two products over the same block of monomials, which stays in
// the cache.
#pragma once
#include "gemm.hpp"
#include "problem.hpp"

namespace moestro {
namespace MOESTRO_ISA {

// columns of rows [start, start + rows), feature-major; rows past the end are zero.
static inline void pack_columns(const Mixture& mx, int64_t start, int rows, int len, double* x) {
    const double* base = mx.rows + start * mx.columns;
    for (int j = 0; j < mx.columns; ++j) {
        double* o = x + size_t(j) * kBlock;
        for (int i = 0; i < rows; ++i) o[i] = base[size_t(i) * mx.columns + j];
        for (int i = rows; i < len; ++i) o[i] = 0.0;
    }
}

// 1, w_i, w_i w_j with i <= j
static inline void monomials(int D, int len, const double* x, double* phi) {
    for (int v = 0; v < len; v += W) store(phi + v, set1(1.0));
    double* out = phi + size_t(D + 1) * kBlock;
    for (int i = 0; i < D; ++i) {
        const double* a = x + size_t(i) * kBlock;
        double* linear = phi + size_t(i + 1) * kBlock;
        for (int v = 0; v < len; v += W) store(linear + v, load(a + v));
        for (int j = i; j < D; ++j, out += kBlock) {
            const double* b = x + size_t(j) * kBlock;
            for (int v = 0; v < len; v += W) store(out + v, load(a + v) * load(b + v));
        }
    }
}

// Logarithms u become weighted responsibilities; returns sum w log sum_e exp(u_e).
static inline double normalise(int k, int len, double* u, const double* w) {
    V total{};
    for (int v = 0; v < len; v += W) {
        V top = load(u + v);
        for (int e = 1; e < k; ++e) top = vmax(top, load(u + size_t(e) * kBlock + v));
        V sum{};
        for (int e = 0; e < k; ++e) {
            const V p = exp_any(load(u + size_t(e) * kBlock + v) - top);
            store(u + size_t(e) * kBlock + v, p);
            sum += p;
        }
        const V weight = load(w + v), scale = weight / sum;
        for (int e = 0; e < k; ++e)
            store(u + size_t(e) * kBlock + v, load(u + size_t(e) * kBlock + v) * scale);
        total += weight * (top + log_pos(sum));
    }
    return hsum(total);
}

static void mixture_pass(const Mixture& mx, int64_t first, int64_t last, Workspace& ws, MixturePart& part) {
    const int D = mx.columns, k = mx.k, J = mx.monomials();
    double* x = ws.take(size_t(D + J + k + 1) * kBlock);
    double* phi = x + size_t(D) * kBlock;
    double* u = phi + size_t(J) * kBlock;
    double* w = u + size_t(k) * kBlock;
    std::vector<double*> rows_of(static_cast<size_t>(k));
    for (int e = 0; e < k; ++e) rows_of[size_t(e)] = u + size_t(e) * kBlock;
    for (int64_t start = first; start < last; start += kBlock) {
        const int rows = int(last - start < kBlock ? last - start : kBlock);
        const int len = (rows + 2 * W - 1) / (2 * W) * (2 * W);
        pack_columns(mx, start, rows, len, x);
        monomials(D, len, x, phi);
        for (int i = 0; i < len; ++i) w[i] = i >= rows ? 0.0 : mx.w ? mx.w[start + i] : 1.0;
        logits(len, mx.theta, k, J, phi, rows_of.data());
        part.value += normalise(k, len, u, w);
        dots(len, u, k, phi, J, part.first.data(), J);
    }
}

}  // namespace MOESTRO_ISA
}  // namespace moestro
