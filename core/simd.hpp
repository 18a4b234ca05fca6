// Vectors of doubles on GCC/Clang vector extensions: one source, three widths.
// Each translation unit that includes this is compiled for one instruction set.
#pragma once
#include <cstdint>
#include <cstring>

namespace moestro {
namespace MOESTRO_ISA {

#if defined(__AVX512F__)
constexpr int W = 8;
#elif defined(__AVX2__)
constexpr int W = 4;
#else
constexpr int W = 2;
#endif

typedef double V __attribute__((vector_size(W * 8)));
typedef int64_t I __attribute__((vector_size(W * 8)));

static inline V load(const double* p) { return *reinterpret_cast<const V*>(p); }
static inline void store(double* p, V v) { *reinterpret_cast<V*>(p) = v; }
static inline V set1(double a) { return a - V{}; }
static inline V vmax(V a, V b) { return a > b ? a : b; }
static inline V vmin(V a, V b) { return a < b ? a : b; }
static inline V vabs(V a) { return a < V{} ? -a : a; }

static inline double hsum(V v) {
    // Pairwise, so that every width adds in a tree.
    double a[W];
    std::memcpy(a, &v, sizeof v);
    for (int s = W / 2; s > 0; s /= 2)
        for (int i = 0; i < s; ++i) a[i] += a[i + s];
    return a[0];
}

// Four doubles, whatever W: rows are turned into columns four by four.
typedef double V4 __attribute__((vector_size(32)));
typedef int64_t I4 __attribute__((vector_size(32)));
typedef double V4u __attribute__((vector_size(32), aligned(8)));

// The four elements of a and b, numbered through.
#if defined(__clang__)
#define MOESTRO_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MOESTRO_PICK(a, b, ...) __builtin_shuffle(a, b, I4{__VA_ARGS__})
#endif

// Sums of the elements of four vectors, each in the order of hsum.
static inline V4 hsum4(V4 a, V4 b, V4 c, V4 d) {
    const V4 ab = MOESTRO_PICK(a, b, 0, 1, 4, 5) + MOESTRO_PICK(a, b, 2, 3, 6, 7);
    const V4 cd = MOESTRO_PICK(c, d, 0, 1, 4, 5) + MOESTRO_PICK(c, d, 2, 3, 6, 7);
    return MOESTRO_PICK(ab, cd, 0, 2, 4, 6) + MOESTRO_PICK(ab, cd, 1, 3, 5, 7);
}

static inline void transpose(V4& a, V4& b, V4& c, V4& d) {
    const V4 ab_even = MOESTRO_PICK(a, b, 0, 4, 2, 6), ab_odd = MOESTRO_PICK(a, b, 1, 5, 3, 7);
    const V4 cd_even = MOESTRO_PICK(c, d, 0, 4, 2, 6), cd_odd = MOESTRO_PICK(c, d, 1, 5, 3, 7);
    a = MOESTRO_PICK(ab_even, cd_even, 0, 1, 4, 5);
    b = MOESTRO_PICK(ab_odd, cd_odd, 0, 1, 4, 5);
    c = MOESTRO_PICK(ab_even, cd_even, 2, 3, 6, 7);
    d = MOESTRO_PICK(ab_odd, cd_odd, 2, 3, 6, 7);
}

static inline bool any_true(I mask) {
    int64_t a[W], s = 0;
    std::memcpy(a, &mask, sizeof mask);
    for (int i = 0; i < W; ++i) s |= a[i];
    return s != 0;
}

// The polynomial in x with these coefficients, highest power first.
template <class... C>
static inline V horner(V x, double first, C... rest) {
    V p = set1(first);
    ((p = p * x + set1(rest)), ...);
    return p;
}

// exp for |x| <= 708: x = n ln2 + r, |r| <= ln2/2, and a degree-11 Chebyshev interpolant of
// exp on that interval (relative error 4e-18; about 1 ulp after rounding).
static inline V exp_core(V x) {
    const V shifter = set1(6755399441055744.0);  // 1.5 * 2^52: rounds to nearest in the low bits
    V t = x * set1(1.4426950408889634074) + shifter;
    I n = reinterpret_cast<I&>(t);
    V f = t - shifter;
    V r = x - f * set1(6.93147180369123816490e-01);
    r = r - f * set1(1.90821492927058770002e-10);
    V p = horner(r, 2.5110037605963777712e-8, 2.7632639639041029749e-7, 2.7557240918578969823e-6,
                 2.4801485482328492419e-5, 1.9841269890047113707e-4, 1.3888888952314774652e-3,
                 8.3333333333196006109e-3, 4.1666666666488095495e-2, 1.6666666666666680806e-1,
                 0.50000000000000183855, 0.99999999999999999976, 1.0);
    I bits = reinterpret_cast<I&>(p) + (n << 52);
    return reinterpret_cast<V&>(bits);
}

// exp for any x <= 708; below -708 the result is 0.
static inline V exp_any(V x) {
    V y = exp_core(vmax(vmin(x, set1(708.0)), set1(-708.0)));
    return x < set1(-708.0) ? V{} : y;
}

// log for normal positive x: x = 2^e m, m in [sqrt(1/2), sqrt 2), s = (m-1)/(m+1),
// log m = 2 atanh(s), as an odd series in s (|s| < 0.1716: 11 terms reach 1e-17).
static inline V log_pos(V x) {
    I b = reinterpret_cast<I&>(x);
    I e = (b - 0x3fe6a09e667f3bcdLL) >> 52;
    I mb = b - (e << 52);
    V m = reinterpret_cast<V&>(mb);
    I eb = e + 0x4338000000000000LL;  // the integer in the low bits of 1.5 * 2^52
    V ef = reinterpret_cast<V&>(eb) - set1(6755399441055744.0);
    V s = (m - set1(1.0)) / (m + set1(1.0));
    V z = s * s;
    V p = horner(z, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5,
                 2.0 / 3);
    V lo = ef * set1(1.90821492927058770002e-10) + s * z * p;
    return ef * set1(6.93147180369123816490e-01) + (lo + s * set1(2.0));
}

}  // namespace MOESTRO_ISA
}  // namespace moestro
