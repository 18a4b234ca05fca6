// Two small products, both over the rows of one block. Blocks are feature-major: row r of feature j
// lies at block[j * kBlock + r].
#pragma once
#include "problem.hpp"
#include "simd.hpp"

namespace moestro {
namespace MOESTRO_ISA {

constexpr int kRowTile = 4;
// Accumulators fill the register file; fewer rows take more columns, since one chain of sums waits for
// itself.
constexpr int col_tile(int rows) { return W == 8 ? 6 : rows == 4 ? 3 : rows == 3 ? 4 : 6; }

template <int R, int S>
static inline void dot_tile(int len, const double* a, const double* b, double* out, int ld) {
    V acc[R][S];
    for (int r = 0; r < R; ++r)
        for (int s = 0; s < S; ++s) acc[r][s] = V{};  // an initialiser would go through memory
    for (int v = 0; v < len; v += W) {
        V bv[S];
        for (int s = 0; s < S; ++s) bv[s] = load(b + s * kBlock + v);
        for (int r = 0; r < R; ++r) {
            const V av = load(a + r * kBlock + v);
            for (int s = 0; s < S; ++s) acc[r][s] += av * bv[s];
        }
    }
    for (int s = 0; s < S; ++s) {
        if constexpr (W == 4 && R == 4) {
            const V4 sums = hsum4(acc[0][s], acc[1][s], acc[2][s], acc[3][s]);
            for (int r = 0; r < R; ++r) out[r * ld + s] += sums[r];
        } else {
            for (int r = 0; r < R; ++r) out[r * ld + s] += hsum(acc[r][s]);
        }
    }
}

template <int R, int S>
static inline void dot_columns(int len, const double* a, const double* b, double* out, int ld, int columns) {
    int j = 0;
    for (; j + S <= columns; j += S) dot_tile<R, S>(len, a, b + j * kBlock, out + j, ld);
    if constexpr (S > 1)
        if (j < columns)
            dot_columns<R, (S > 4 ? 3 : S - 1)>(len, a, b + j * kBlock, out + j, ld, columns - j);
}

// out[i][j] += sum_r a[i][r] b[j][r]
static inline void dots(int len, const double* a, int na, const double* b, int nb, double* out, int ld) {
    int i = 0;
    for (; i + kRowTile <= na; i += kRowTile)
        dot_columns<kRowTile, col_tile(kRowTile)>(len, a + i * kBlock, b, out + size_t(i) * ld, ld, nb);
    switch (na - i) {
        case 3: dot_columns<3, col_tile(3)>(len, a + i * kBlock, b, out + size_t(i) * ld, ld, nb); break;
        case 2: dot_columns<2, col_tile(2)>(len, a + i * kBlock, b, out + size_t(i) * ld, ld, nb); break;
        case 1: dot_columns<1, col_tile(1)>(len, a + i * kBlock, b, out + size_t(i) * ld, ld, nb); break;
        default: break;
    }
}

template <int R>
static inline void logit_tile(int len, const double* theta, int p, const double* x, double* const* u) {
    for (int v = 0; v < len; v += 2 * W) {
        V lo[R], hi[R];
        for (int r = 0; r < R; ++r) lo[r] = hi[r] = V{};
        for (int j = 0; j < p; ++j) {
            const V x0 = load(x + j * kBlock + v), x1 = load(x + j * kBlock + v + W);
            for (int r = 0; r < R; ++r) {
                const V c = set1(theta[r * p + j]);
                lo[r] += c * x0;
                hi[r] += c * x1;
            }
        }
        for (int r = 0; r < R; ++r) {
            store(u[r] + v, lo[r]);
            store(u[r] + v + W, hi[r]);
        }
    }
}

// u[i] = theta[i] . x for `count` rows of coefficients (count x p)
static inline void logits(int len, const double* theta, int count, int p, const double* x, double* const* u) {
    int i = 0;
    for (; i + 5 <= count; i += 5) logit_tile<5>(len, theta + i * p, p, x, u + i);
    switch (count - i) {
        case 4: logit_tile<4>(len, theta + i * p, p, x, u + i); break;
        case 3: logit_tile<3>(len, theta + i * p, p, x, u + i); break;
        case 2: logit_tile<2>(len, theta + i * p, p, x, u + i); break;
        case 1: logit_tile<1>(len, theta + i * p, p, x, u + i); break;
        default: break;
    }
}

}  // namespace MOESTRO_ISA
}  // namespace moestro
