// The gate at one block of rows: which experts its boundaries let in, how its scores turn with its logits,
// and its share of the curvature.
#pragma once
#include "buffers.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

struct GateKernel {
    const Problem& pr;
    const Plan& plan;
    const Request& rq;
    const Buffers& b;

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

    // off_a = log sigma(t_a), t_a = (rank_a - that of the rival of a) / tau: the first expert left out is the
    // rival of those selected, the last one selected of the others.
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
                    put(b.turn, a * g + c, v,
                        ((a == c ? one : V{}) - (at(b.off, c, v) == rival ? one : V{})) / tau);
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

    template <class Weight>
    void slot(int index, int len, Weight weight) const {
        fill(len, b.weights + size_t(index) * kBlock, weight);
    }

    void gate_slots(int len) const {
        if (pr.soft()) return soft_slots(len);
        const int g = pr.k - 1, T = pr.logits();
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        for (int a = 0; a < g; ++a)
            for (int c = a; c < g; ++c) {
                const double *pa = b.pi + size_t(a) * kBlock, *pc = b.pi + size_t(c) * kBlock;
                const double *ra = b.r + size_t(a) * kBlock, *rc = b.r + size_t(c) * kBlock;
                const bool own = a == c;
                slot(info[a * T + c], len, [&](int v) {
                    const V pp = load(pa + v) * load(pc + v);
                    return load(b.w + v) * (own ? load(pa + v) - pp : -pp);
                });
                if (rq.order < 3) continue;
                slot(curv[a * T + c], len, [&](int v) {
                    const V pp = load(pa + v) * load(pc + v), rr = load(ra + v) * load(rc + v);
                    return load(b.w + v) * (own ? load(ra + v) - load(pa + v) - rr + pp : pp - rr);
                });
            }
    }

    // As for sharp ones with dv in the place of the scores' own derivatives, and (r_a - pi_a) d2v_a.
    void soft_slots(int len) const {
        const int k = pr.k, g = k - 1, G = pr.gate_logits(), T = pr.logits();
        const int *info = plan.information_slot.data(), *curv = plan.curvature_slot.data();
        for (int s = 0; s < G; ++s)
            for (int t = s; t < G; ++t) {
                slot(info[s * T + t], len, [&](int v) {
                    V p{};
                    for (int a = 0; a < k; ++a) p += at(b.pi, a, v) * (turned(a, s, v) * turned(a, t, v));
                    return load(b.w + v) * (p - at(b.pi_j, s, v) * at(b.pi_j, t, v));
                });
                if (rq.order < 3) continue;
                slot(curv[s * T + t], len, [&](int v) {
                    V p{}, r{}, bent{};
                    for (int a = 0; a < k; ++a) {
                        const V jj = turned(a, s, v) * turned(a, t, v), pa = at(b.pi, a, v),
                                ra = at(b.r, a, v);
                        p += pa * jj;
                        r += ra * jj;
                        if (t >= g) continue;
                        const V slope = at(b.slope, a, v), bend = slope * (set1(1.0) - slope);
                        bent += (ra - pa) * bend * at(b.turn, a * g + s, v) * at(b.turn, a * g + t, v);
                    }
                    const V pp = at(b.pi_j, s, v) * at(b.pi_j, t, v), rr = at(b.r_j, s, v) * at(b.r_j, t, v);
                    return load(b.w + v) * (r - p - rr + pp - bent);
                });
            }
    }
};

}  // namespace
}  // namespace MOESTRO_ISA
}  // namespace moestro
