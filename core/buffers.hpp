// The columns of one block of rows: packed features, predictors, and room for the terms of each row.
#pragma once
#include "families.hpp"
#include "gemm.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

constexpr double kOff = -1e30;  // its exponential is zero, and it stays a number

struct Buffers {
    double *x, *z, *y, *w;      // packed block: features (p x kBlock), response, weight
    double *u, *s;              // logits; scores, weighted in the end (logits x kBlock)
    double *pi, *r,
        *p;  // gate weights, responsibilities (k x kBlock), the family's scratch (k scratch x kBlock)
    double *joint;              // log pi_e + log f_e where the responsibilities are given
    double *inv, *shift,
        *total;  // one over the gate's sum; what exponents were reduced by; p(y|x), then its log
    double *off;                // sparse gate: added to the experts' scores (k x kBlock)
    double *slope,
        *turn;  // soft boundaries: v_a = u_a + log sigma(t_a); sigma(-t_a), and dt_a/du_b (k x (k - 1))
    double *pi_j, *r_j;         // sum_a pi_a dv_a and sum_a r_a dv_a of the gate's logits; else pi and r
    double *weights, *products; // curvature pass: slots and feature products
    double *wr, *rs;            // of one expert: weighted responsibilities, and those times a score
    bool given;                 // responsibilities are the caller's
};

// Cuts a workspace into columns of kBlock numbers.
struct Carver {
    double* at;
    double* operator()(size_t columns) {
        double* taken = at;
        at += columns * kBlock;
        return taken;
    }
};

// value(v) of the rows at v, along a column of the block.
template <class Value>
void fill(int len, double* out, Value value) {
    for (int v = 0; v < len; v += W) store(out + v, value(v));
}

// Rows up to a whole number of pairs of vectors.
int padded(int rows) { return (rows + 2 * W - 1) / (2 * W) * (2 * W); }

// (x - center) * inv_scale, feature-major, after a row of ones; rows past the end are zero.
void pack(const Design& d, int64_t first, int rows, int len, double* out) {
    for (int i = 0; i < len; ++i) out[i] = i < rows ? 1.0 : 0.0;
    const double* base = d.data + first * d.row_stride;
    const int fours = d.col_stride == 1 ? d.columns / 4 * 4 : 0, whole = rows / 4 * 4;
    for (int j = 0; j < fours; j += 4) {
        double* o = out + size_t(j + 1) * kBlock;
        for (int i = 0; i < whole; i += 4) {
            V4 x[4];
            for (int r = 0; r < 4; ++r)
                x[r] = *reinterpret_cast<const V4u*>(base + (i + r) * d.row_stride + j);
            transpose(x[0], x[1], x[2], x[3]);
            for (int c = 0; c < 4; ++c)
                *reinterpret_cast<V4*>(o + c * kBlock + i) = (x[c] - d.center[j + c]) * d.inv_scale[j + c];
        }
    }
    for (int j = 0; j < d.columns; ++j) {
        const double c = d.center[j], s = d.inv_scale[j];
        const double* column = base + j * d.col_stride;
        double* o = out + size_t(j + 1) * kBlock;
        for (int i = j < fours ? whole : 0; i < rows; ++i) o[i] = (column[i * d.row_stride] - c) * s;
        for (int i = rows; i < len; ++i) o[i] = 0.0;
    }
}

// The response in the model's units; zero past the end.
void pack_response(const Problem& pr, int64_t first, int rows, int len, double* out) {
    const double c = pr.y_center, s = pr.y_inv_scale;
    for (int i = 0; i < rows; ++i) out[i] = (pr.y[first + i] - c) * s;
    for (int i = rows; i < len; ++i) out[i] = 0.0;
}

// Weights of units; those past the end weigh nothing.
void pack_weights(const Problem& pr, int64_t first, int units, int len, double* out) {
    for (int i = 0; i < units; ++i) out[i] = pr.w ? pr.w[first + i] : 1.0;
    for (int i = units; i < len; ++i) out[i] = 0.0;
}

// Linear predictors of the experts at a block of rows.
void predictors(const Problem& pr, const double* theta, int64_t first, int rows, int len, const double* x,
                double* const* out) {
    logits(len, theta + pr.gate_size(), pr.k * pr.m, pr.p(), x, out);
    if (!pr.known) return;
    for (int t = 0; t < pr.k * pr.m; ++t)
        for (int i = 0; i < rows; ++i) out[t][i] += pr.known[first + i];
}

// Columns that a gate with soft boundaries needs beside the others.
size_t soft_columns(const Problem& pr) {
    return pr.soft() ? size_t(pr.k) * pr.k + 2 * size_t(pr.gate_logits()) : 0;
}

// Of a block with its pi and r; logits of a gate with sharp boundaries, or none, are its scores.
void carve_boundaries(const Problem& pr, Carver& carve, Buffers& b) {
    b.off = pr.sparse() ? carve(pr.k) : nullptr;
    b.pi_j = b.pi;
    b.r_j = b.r;
    if (!pr.soft()) return;
    b.slope = carve(pr.k);
    b.turn = carve(size_t(pr.k) * (pr.k - 1));
    b.pi_j = carve(pr.gate_logits());
    b.r_j = carve(pr.gate_logits());
}

// What each group of logits is multiplied by, in the plan's order.
void features_of(const Problem& pr, const Plan& plan, double* z, double* x, double* constant, double** out) {
    const int G = pr.gate_logits();
    for (size_t i = 0; i < plan.groups.size(); ++i) {
        const int t = plan.groups[i].logits[0];
        if (t >= G) out[i] = (t - G) % (pr.m + pr.nu) >= pr.m ? constant : x;
        else out[i] = pr.gate_parts() == 2 && t < pr.k - 1 ? z + kBlock : z;
    }
}

}  // namespace
}  // namespace MOESTRO_ISA
}  // namespace moestro
