// Rows of one block: packed features, the terms of each row, and their sums over parameters.
#pragma once
#include <algorithm>

#include "families.hpp"
#include "gemm.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

constexpr double kOff = -1e30;  // its exponential is zero, and it stays a number

struct Buffers {
    double *x, *z, *y, *w;      // packed block: features (p x kBlock), response, weight
    double *u, *s;              // logits; scores, weighted in the end (logits x kBlock)
    double *pi, *r, *p;         // gate weights, responsibilities (k x kBlock), the family's scratch (k scratch x kBlock)
    double *joint;              // log pi_e + log f_e where the responsibilities are given
    double *inv, *shift, *total;  // one over the gate's sum; what exponents were reduced by; p(y|x), then its log
    double *off;                // sparse gate: added to the experts' scores (k x kBlock)
    double *slope, *turn;       // soft boundaries: v_a = u_a + log sigma(t_a); sigma(-t_a), and dt_a/du_b (k x (k - 1))
    double *pi_j, *r_j;         // sum_a pi_a dv_a and sum_a r_a dv_a of the gate's logits; else pi and r
    double *weights, *products; // curvature pass: slots and feature products
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

// Rows up to a whole number of pairs of vectors.
int padded(int rows) { return (rows + 2 * W - 1) / (2 * W) * (2 * W); }

// (x - center) * inv_scale, feature-major, after a row of ones; rows past the end are zero.
void pack(const Design& d, int64_t first, int rows, int len, double* out) {
    for (int i = 0; i < len; ++i) out[i] = i < rows ? 1.0 : 0.0;
    const double* base = d.data + first * d.row_stride;
    for (int j = 0; j < d.columns; ++j) {
        const double c = d.center[j], s = d.inv_scale[j];
        const double* column = base + j * d.col_stride;
        double* o = out + size_t(j + 1) * kBlock;
        for (int i = 0; i < rows; ++i) o[i] = (column[i * d.row_stride] - c) * s;
        for (int i = rows; i < len; ++i) o[i] = 0.0;
    }
}

// Linear predictors of the experts at a block of rows.
void predictors(const Problem& pr, const double* theta, int64_t first, int rows, int len, const double* x, double* const* out) {
    logits(len, theta + pr.gate_size(), pr.k * pr.m, pr.p(), x, out);
    if (!pr.known) return;
    for (int t = 0; t < pr.k * pr.m; ++t)
        for (int i = 0; i < rows; ++i) out[t][i] += pr.known[first + i];
}

// Columns that a gate with soft boundaries needs beside the others.
size_t soft_columns(const Problem& pr) { return pr.soft() ? size_t(pr.k) * pr.k + 2 * size_t(pr.gate_logits()) : 0; }

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

template <class F>
struct RowKernel {
    const Problem& pr;
    const Plan& plan;
    const Request& rq;
    const Buffers& b;
    F family;

    // Responsibilities, weighted scores, slots and log-densities of the block; returns the weighted value.
    double operator()(int len, V* mass) const {
        const int k = pr.k, g = k - 1, G = pr.gate_logits(), m = pr.m, mm = m + pr.nu;
        const V one = set1(1.0);
        boundaries(len);
        gate(len);
        double* joint = b.given ? b.joint : b.r;
        for (int e = 0; e < k; ++e) {
            double* out = joint + size_t(e) * kBlock;
            const size_t first = size_t(G + e * mm) * kBlock;
            family.density(e, len, b.u + first, b.y, b.s + first, b.p + size_t(e * F::scratch(pr)) * kBlock, out);
            const double* log_weight = b.u + size_t(e) * kBlock;
            for (int v = 0; v < len; v += W) {
                if constexpr (F::linear) store(out + v, load(out + v) * at(b.pi, e, v));
                else store(out + v, load(out + v) + (e < g ? load(log_weight + v) : V{}) - load(b.shift + v));
                if (pr.sparse() && !F::linear) store(out + v, load(out + v) + at(b.off, e, v));
            }
        }
        if (b.given) given_value(len);
        else posterior(len);
        V value{};
        for (int v = 0; v < len; v += W) {
            const V w = load(b.w + v);
            if (!b.given) store(b.total + v, load(b.shift + v) + log_pos(load(b.total + v)));
            value += w * load(b.total + v);
            for (int e = 0; e < k; ++e) mass[e] += w * at(b.r, e, v);
        }
        for (int a = 0; a < k; ++a)
            for (int v = 0; v < len; v += W) put(b.pi, a, v, at(b.pi, a, v) * load(b.inv + v));
        if (pr.soft() && rq.order >= 1)
            for (int v = 0; v < len; v += W) means(v);
        if (rq.order >= 2)
            for (int v = 0; v < len; v += W) slots(v, load(b.w + v), one);
        if (rq.order >= 1) {
            for (int t = 0; t < G; ++t)
                for (int v = 0; v < len; v += W) put(b.s, t, v, load(b.w + v) * (at(b.r_j, t, v) - at(b.pi_j, t, v)));
            for (int e = 0; e < k; ++e)
                for (int v = 0; v < len; v += W) {
                    const V wr = load(b.w + v) * at(b.r, e, v);
                    for (int c = 0; c < mm; ++c) put(b.s, G + e * mm + c, v, wr * at(b.s, G + e * mm + c, v));
                }
        }
        return hsum(value);
    }

    // What the gate adds to the scores, and how it turns with them.
    void boundaries(int len) const {
        if (pr.soft()) soften(len);
        else if (pr.sparse()) select(len);
    }

    // What expert a is ranked by.
    inline V rank(int a, int v) const {
        if (a == pr.k - 1) return V{};
        return pr.rank_logit ? at(b.u, a, v) : at(b.u, a, v) - set1(rq.theta[size_t(a) * pr.q()]);
    }

    // Experts that rank before a; of equals the lower number comes first.
    inline V ahead(int a, int v) const {
        const V own = rank(a, v);
        V count{};
        for (int c = 0; c < pr.k; ++c) {
            if (c == a) continue;
            const V other = rank(c, v);
            count += (c < a ? other >= own : other > own) ? set1(1.0) : V{};
        }
        return count;
    }

    // off is zero for the top_k experts that rank highest, kOff for the others.
    void select(int len) const {
        const V kept = set1(double(pr.top_k));
        for (int v = 0; v < len; v += W)
            for (int a = 0; a < pr.k; ++a) put(b.off, a, v, ahead(a, v) >= kept ? set1(kOff) : V{});
    }

    // off_a = log sigma(t_a), t_a = (rank_a - that of the rival of a) / tau: the first expert left out is the rival of
    // those selected, the last one selected of the others.
    void soften(int len) const {
        const int k = pr.k, g = k - 1;
        const V one = set1(1.0), out = set1(double(pr.top_k)), in = out - one, tau = set1(pr.tau);
        for (int v = 0; v < len; v += W) {
            V first_out{}, last_in{};
            for (int a = 0; a < k; ++a) {
                const V place = ahead(a, v);
                first_out += place == out ? rank(a, v) : V{};
                last_in += place == in ? rank(a, v) : V{};
                put(b.off, a, v, place);
            }
            for (int a = 0; a < k; ++a) {
                const V rival = at(b.off, a, v) < out ? out : in;
                for (int c = 0; c < g; ++c)
                    put(b.turn, a * g + c, v, ((a == c ? one : V{}) - (at(b.off, c, v) == rival ? one : V{})) / tau);
            }
            for (int a = 0; a < k; ++a) {
                const V t = (rank(a, v) - (at(b.off, a, v) < out ? first_out : last_in)) / tau;
                const V e = exp_any(-vabs(t)), inv = one / (one + e);
                put(b.off, a, v, vmin(t, V{}) - log_pos(one + e));
                put(b.slope, a, v, t < V{} ? inv : e * inv);
            }
        }
    }

    // dv_a / d logit t of the gate.
    inline V turned(int a, int t, int v) const {
        const int g = pr.k - 1;
        const V own = set1(a == t % g ? 1.0 : 0.0);
        return pr.soft() && t < g ? own + at(b.slope, a, v) * at(b.turn, a * g + t, v) : own;
    }

    // The gate's logits take their part in a mean over the experts, by pi and by r.
    void means(int v) const {
        for (int t = 0; t < pr.gate_logits(); ++t) {
            V p{}, r{};
            for (int a = 0; a < pr.k; ++a) {
                const V j = turned(a, t, v);
                p += at(b.pi, a, v) * j;
                r += at(b.r, a, v) * j;
            }
            put(b.pi_j, t, v, p);
            put(b.r_j, t, v, r);
        }
    }

    // exp(u - shift) in pi, one over their sum in inv; shift is zero in the linear form.
    void gate(int len) const {
        const int k = pr.k, g = k - 1;
        for (int v = 0; v < len; v += W) {
            V top{};
            if constexpr (!F::linear) {
                if (pr.sparse()) top = at(b.off, g, v);
                for (int a = 0; a < g; ++a) top = vmax(top, pr.sparse() ? at(b.u, a, v) + at(b.off, a, v) : at(b.u, a, v));
            }
            store(b.shift + v, top);
        }
        for (int a = 0; a < k; ++a)
            for (int v = 0; v < len; v += W) {
                if constexpr (F::linear) put(b.pi, a, v, a < g ? exp_core(at(b.u, a, v)) : set1(1.0));
                else if (pr.soft()) put(b.pi, a, v, exp_any((a < g ? at(b.u, a, v) : V{}) + at(b.off, a, v) - load(b.shift + v)));
                else put(b.pi, a, v, exp_any((a < g ? at(b.u, a, v) : V{}) - load(b.shift + v)));
                if (pr.sparse() && !pr.soft()) put(b.pi, a, v, at(b.off, a, v) < V{} ? V{} : at(b.pi, a, v));
            }
        for (int v = 0; v < len; v += W) {
            V sum{};
            for (int a = 0; a < k; ++a) sum += at(b.pi, a, v);
            store(b.inv + v, set1(1.0) / sum);
        }
    }

    // Joint densities in r become responsibilities; total becomes p(y|x) exp(-shift).
    void posterior(int len) const {
        const int k = pr.k;
        if constexpr (!F::linear) {
            for (int v = 0; v < len; v += W) {
                V best = at(b.r, 0, v);
                for (int e = 1; e < k; ++e) best = vmax(best, at(b.r, e, v));
                store(b.shift + v, best);
            }
            for (int e = 0; e < k; ++e)
                for (int v = 0; v < len; v += W) put(b.r, e, v, exp_any(at(b.r, e, v) - load(b.shift + v)));
        }
        for (int v = 0; v < len; v += W) {
            V sum{};
            for (int e = 0; e < k; ++e) sum += at(b.r, e, v);
            const V inv = set1(1.0) / sum;
            for (int e = 0; e < k; ++e) put(b.r, e, v, at(b.r, e, v) * inv);
            store(b.total + v, sum * load(b.inv + v));
        }
    }

    // Q of given responsibilities: sum_e r_e (log pi_e + log f_e).
    void given_value(int len) const {
        for (int v = 0; v < len; v += W) {
            V sum{}, q{};
            for (int e = 0; e < pr.k; ++e) {
                const V r = at(b.r, e, v);
                q += r * at(b.joint, e, v);
                sum += r;
            }
            store(b.total + v, q + sum * log_pos(load(b.inv + v)));
        }
    }

    inline void slot(int index, int v, V value) const { put(b.weights, index, v, value); }

    void gate_slots(int v, V w) const {
        if (pr.soft()) return soft_slots(v, w);
        const int g = pr.k - 1, T = pr.logits();
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        for (int a = 0; a < g; ++a) {
            const V pa = at(b.pi, a, v), ra = at(b.r, a, v);
            for (int c = a; c < g; ++c) {
                const V pp = pa * at(b.pi, c, v), rr = ra * at(b.r, c, v);
                slot(info[a * T + c], v, w * (a == c ? pa - pp : -pp));
                if (rq.order >= 3) slot(curv[a * T + c], v, w * (a == c ? ra - pa - rr + pp : pp - rr));
            }
        }
    }

    // As for sharp ones with dv in the place of the scores' own derivatives, and (r_a - pi_a) d2v_a.
    void soft_slots(int v, V w) const {
        const int k = pr.k, g = k - 1, G = pr.gate_logits(), T = pr.logits();
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        for (int s = 0; s < G; ++s)
            for (int t = s; t < G; ++t) {
                V p{}, r{}, bent{};
                for (int a = 0; a < k; ++a) {
                    const V jj = turned(a, s, v) * turned(a, t, v), pa = at(b.pi, a, v), ra = at(b.r, a, v);
                    p += pa * jj;
                    if (rq.order < 3) continue;
                    r += ra * jj;
                    if (t >= g) continue;
                    const V slope = at(b.slope, a, v), bend = slope * (set1(1.0) - slope);
                    bent += (ra - pa) * bend * at(b.turn, a * g + s, v) * at(b.turn, a * g + t, v);
                }
                const V pp = at(b.pi_j, s, v) * at(b.pi_j, t, v), rr = at(b.r_j, s, v) * at(b.r_j, t, v);
                slot(info[s * T + t], v, w * (p - pp));
                if (rq.order >= 3) slot(curv[s * T + t], v, w * (r - p - rr + pp - bent));
            }
    }

    void slots(int v, V w, V one) const {
        const int k = pr.k, G = pr.gate_logits(), T = pr.logits(), m = pr.m, mm = m + pr.nu;
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        gate_slots(v, w);
        for (int e = 0; e < k; ++e) {
            const int te = G + e * mm;
            const double *s = b.s + size_t(te) * kBlock, *p = b.p + size_t(e * F::scratch(pr)) * kBlock;
            const V re = at(b.r, e, v), wr = w * re;
            for (int c = 0; c < mm; ++c)
                for (int d = c; d < mm; ++d) {
                    const int index = info[(te + c) * T + te + d];
                    if (index >= 0) slot(index, v, wr * family.information(e, c, d, s, p, v));
                }
            if (rq.order < 3) continue;
            for (int c = 0; c < mm; ++c) {
                const V rs = wr * at(s, c, v);
                for (int t = 0; t < G; ++t)
                    slot(curv[t * T + te + c], v, rs * (turned(e, t, v) - at(b.r_j, t, v)));
                for (int d = c; d < mm; ++d)
                    slot(curv[(te + c) * T + te + d], v,
                         rs * at(s, d, v) * (one - re) + wr * family.curvature(e, c, d, s, p, v));
                for (int f = e + 1; f < k; ++f) {
                    const V scale = -rs * at(b.r, f, v);
                    for (int d = 0; d < mm; ++d)
                        slot(curv[(te + c) * T + G + f * mm + d], v, scale * at(b.s, G + f * mm + d, v));
                }
            }
        }
    }
};

// Adds weight[slot] . (feature i * feature j) for the jobs [begin, end) of the plan.
void add_grams(const Plan& plan, const Buffers& b, int len, double* const* features, double* gram, size_t begin,
               size_t end) {
    for (size_t index = begin; index < end; ++index) {
        const Job& job = plan.jobs[index];
        const Group &ga = plan.groups[job.a], &gb = plan.groups[job.b];
        const int fa = ga.features, fb = gb.features;
        const double *xa = features[job.a], *xb = features[job.b];
        const double* weights = b.weights + size_t(job.first_slot) * kBlock;
        double* out = gram + job.offset;
        if (ga.ones || gb.ones) {
            dots(len, weights, job.slots, gb.ones ? xa : xb, job.products, out, job.products);
            continue;
        }
        int filled = 0, done = 0;
        for (int i = 0; i < fa; ++i)
            for (int j = job.symmetric ? i : 0; j < fb; ++j) {
                double* q = b.products + size_t(filled) * kBlock;
                for (int v = 0; v < len; v += W)
                    store(q + v, load(xa + size_t(i) * kBlock + v) * load(xb + size_t(j) * kBlock + v));
                if (++filled == kStrip || done + filled == job.products) {
                    dots(len, weights, job.slots, b.products, filled, out + done, job.products);
                    done += filled;
                    filled = 0;
                }
            }
    }
}

void add_gradient(const Problem& pr, const Plan& plan, const Buffers& b, int len, double* const* features,
                  double* gradient) {
    // Weighted scores of a group's logits are contiguous runs: the gate, each expert's means, each nuisance.
    const int g = pr.k - 1, G = pr.gate_logits(), m = pr.m, nu = pr.nu, mm = m + nu;
    const auto add = [&](int t, int count) {
        const int group = plan.group_of[t], f = plan.groups[group].features;
        dots(len, b.s + size_t(t) * kBlock, count, features[group], f, gradient + plan.first_parameter[t], t < G ? pr.q() : f);
    };
    if (pr.shared && !nu && G == g) return add(0, pr.logits());
    for (int t = 0; t < G; t += g) add(t, g);
    if (!nu) return add(G, pr.k * m);
    for (int e = 0; e < pr.k; ++e) {
        add(G + e * mm, m);
        add(G + e * mm + m, nu);
    }
}

}  // namespace
}  // namespace MOESTRO_ISA
}  // namespace moestro
