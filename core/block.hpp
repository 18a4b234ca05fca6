// Rows of one block: the terms of each row, and their sums over parameters.
#pragma once
#include "gate.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

template <class F>
struct RowKernel : GateKernel {
    F family;

    // Responsibilities, weighted scores, slots and log-densities of the block; returns the weighted value.
    double operator()(int len, V* mass) const {
        const int k = pr.k, g = k - 1, G = pr.gate_logits(), m = pr.m, mm = m + pr.nu;
        boundaries(len);
        gate(len);
        double* joint = b.given ? b.joint : b.r;
        for (int e = 0; e < k; ++e) {
            double* out = joint + size_t(e) * kBlock;
            const size_t first = size_t(G + e * mm) * kBlock;
            family.density(e, len, b.u + first, b.y, b.s + first, b.p + size_t(e * F::scratch(pr)) * kBlock,
                           out);
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
        if (rq.order >= 2) slots(len);
        if (rq.order >= 1) {
            for (int t = 0; t < G; ++t)
                for (int v = 0; v < len; v += W)
                    put(b.s, t, v, load(b.w + v) * (at(b.r_j, t, v) - at(b.pi_j, t, v)));
            for (int e = 0; e < k; ++e)
                for (int v = 0; v < len; v += W) {
                    const V wr = load(b.w + v) * at(b.r, e, v);
                    for (int c = 0; c < mm; ++c) put(b.s, G + e * mm + c, v, wr * at(b.s, G + e * mm + c, v));
                }
        }
        return hsum(value);
    }

    // exp(u - shift) in pi, one over their sum in inv; shift is zero in the linear form.
    void gate(int len) const {
        const int k = pr.k, g = k - 1;
        for (int v = 0; v < len; v += W) {
            V top{};
            if constexpr (!F::linear) {
                if (pr.sparse()) top = at(b.off, g, v);
                for (int a = 0; a < g; ++a)
                    top = vmax(top, pr.sparse() ? at(b.u, a, v) + at(b.off, a, v) : at(b.u, a, v));
            }
            store(b.shift + v, top);
        }
        for (int a = 0; a < k; ++a)
            for (int v = 0; v < len; v += W) {
                if constexpr (F::linear) put(b.pi, a, v, a < g ? exp_core(at(b.u, a, v)) : set1(1.0));
                else if (pr.soft())
                    put(b.pi, a, v,
                        exp_any((a < g ? at(b.u, a, v) : V{}) + at(b.off, a, v) - load(b.shift + v)));
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

    // Weights of the Gram blocks, one column of the block after the other.
    void slots(int len) const {
        const int k = pr.k, G = pr.gate_logits(), T = pr.logits(), m = pr.m, mm = m + pr.nu;
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        const V one = set1(1.0);
        gate_slots(len);
        for (int e = 0; e < k; ++e) {
            const int te = G + e * mm;
            const double *s = b.s + size_t(te) * kBlock, *p = b.p + size_t(e * F::scratch(pr)) * kBlock;
            const double *re = b.r + size_t(e) * kBlock, *wr = b.wr, *rs = b.rs;
            fill(len, b.wr, [&](int v) { return load(b.w + v) * load(re + v); });
            for (int c = 0; c < mm; ++c)
                for (int d = c; d < mm; ++d) {
                    const int index = info[(te + c) * T + te + d];
                    if (index >= 0)
                        slot(index, len,
                             [&](int v) { return load(wr + v) * family.information(e, c, d, s, p, v); });
                }
            if (rq.order < 3) continue;
            for (int c = 0; c < mm; ++c) {
                fill(len, b.rs, [&](int v) { return load(wr + v) * at(s, c, v); });
                for (int t = 0; t < G; ++t) {
                    const int index = curv[t * T + te + c];
                    const double* r_t = b.r_j + size_t(t) * kBlock;
                    const V own = e == t ? one : V{};
                    const bool soft = pr.soft();
                    slot(index, len, [&](int v) {
                        return load(rs + v) * ((soft ? turned(e, t, v) : own) - load(r_t + v));
                    });
                }
                for (int d = c; d < mm; ++d)
                    slot(curv[(te + c) * T + te + d], len, [&](int v) {
                        return load(rs + v) * at(s, d, v) * (one - load(re + v)) +
                               load(wr + v) * family.curvature(e, c, d, s, p, v);
                    });
                for (int f = e + 1; f < k; ++f)
                    for (int d = 0; d < mm; ++d) {
                        const double *s_f = b.s + size_t(G + f * mm + d) * kBlock,
                                     *r_f = b.r + size_t(f) * kBlock;
                        slot(curv[(te + c) * T + G + f * mm + d], len,
                             [&](int v) { return -load(rs + v) * load(r_f + v) * load(s_f + v); });
                    }
            }
        }
    }
};

// Adds weight[slot] . (feature i * feature j) for the jobs [begin, end) of the plan.
void add_grams(const Plan& plan, const Buffers& b, int len, double* const* features, double* gram,
               size_t begin, size_t end) {
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
        dots(len, b.s + size_t(t) * kBlock, count, features[group], f, gradient + plan.first_parameter[t],
             t < G ? pr.q() : f);
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
