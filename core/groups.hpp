// Rows that share their expert: the mixture is taken over the sum of a group's log-densities.
//
// Per group g with gate logits u, r_e = pi_e exp(sum_i l_e(i) - L) and S_e = sum_i s_e(i) x (features of i),
// i in g:
//   L = log sum_e pi_e exp(sum_i l_e(i)),  dL/du = r - pi,  dL/d(expert e) = r_e S_e
//   d2L/du du'                as for a row
//   d2L/du_a d(expert e)      = r_e ([a=e] - r_a) z S_e'
//   d2L/d(expert e) d(expert f)' = [e=f] r_e (S_e S_e' + sum_i C_e(i) x (features of i)^2) - r_e r_f S_e S_f'
// The terms of single rows and the gate's are weighted Gram sums as elsewhere; those with S_e are products of
// matrices with a column a group (`missing`). Two passes over the rows of up to kBlock groups: densities,
// then scores.
#pragma once
#include "block.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

// As `pack`, of the rows where groups begin.
void pack_first(const Design& d, const int64_t* offsets, int groups, int len, double* out) {
    for (int i = 0; i < len; ++i) out[i] = i < groups ? 1.0 : 0.0;
    for (int j = 0; j < d.columns; ++j) {
        const double* column = d.data + j * d.col_stride;
        double* o = out + size_t(j + 1) * kBlock;
        for (int i = 0; i < groups; ++i)
            o[i] = (column[offsets[i] * d.row_stride] - d.center[j]) * d.inv_scale[j];
        for (int i = groups; i < len; ++i) o[i] = 0.0;
    }
}

template <class F>
struct GroupPass {
    const Problem& pr;
    const Plan& plan;
    const Request& rq;
    Partial& part;
    const int k, g, G, m, mm, p, q, of;
    Buffers rows{}, units{};  // a block of rows; a block of groups, whose y holds their sizes
    // scores of groups, feature-major and one row a group; features times a weight
    double *S, *S_rows, *scaled;
    std::vector<double*> gate_u, expert_u;
    const F family;

    GroupPass(const Problem& pr_, const Plan& plan_, const Request& rq_, Workspace& ws, Partial& part_)
        : pr(pr_), plan(plan_), rq(rq_), part(part_), k(pr.k), g(k - 1), G(pr.gate_logits()), m(pr.m),
          mm(m + pr.nu), p(pr.p()), q(pr.q()), of(pr.of_expert()), family(pr, rq) {
        const size_t T = pr.logits(), slots = plan.slots.size(), strip = rq.order >= 2 ? kStrip : 0;
        const size_t scores = rq.order >= 3 ? size_t(k) * of : 0,
                     most = rq.order >= 3 ? size_t(std::max(of, q)) : 0;
        const size_t of_rows = size_t(p) + 3 + 2 * T + k + size_t(k) * F::scratch(pr);
        const size_t of_units = size_t(q) + 2 + g + G + 2 * k + (rq.responsibilities ? k : 0) +
                                (pr.sparse() ? k : 0) + soft_columns(pr) + 3;
        Carver carve{ws.take(kBlock * (of_rows + of_units + slots + strip + 2 * scores + most))};
        units.given = rq.responsibilities != nullptr;
        rows.x = carve(p);
        rows.y = carve(1);
        rows.w = carve(1);
        rows.wr = carve(1);
        rows.u = carve(T);
        rows.s = carve(T);
        rows.r = carve(k);
        rows.p = carve(size_t(k) * F::scratch(pr));
        units.z = carve(q);
        units.y = carve(1);
        units.w = carve(1);
        units.u = carve(g);
        units.s = carve(G);
        units.pi = carve(k);
        units.r = carve(k);
        units.joint = units.given ? carve(k) : nullptr;
        carve_boundaries(pr, carve, units);
        units.inv = carve(1);
        units.shift = carve(1);
        units.total = carve(1);
        rows.weights = units.weights = carve(slots);
        rows.products = units.products = carve(strip);
        S = carve(scores);
        S_rows = carve(scores);
        scaled = carve(most);
        for (int a = 0; a < g; ++a) gate_u.push_back(units.u + size_t(a) * kBlock);
        for (int e = 0; e < k; ++e)
            for (int c = 0; c < m; ++c) expert_u.push_back(rows.u + size_t(G + e * mm + c) * kBlock);
    }

    // Groups [first, last), at most kBlock of them; false: stopped.
    bool operator()(int64_t first, int64_t last, V* mass, bool (*tick)(void*), void* state) {
        const int count = int(last - first), len = padded(count);
        const int64_t* offsets = pr.offsets + first;
        begin_units(offsets, first, count, len);
        if (!each_block(offsets, count, [&](int64_t start, int n, int block, int unit) {
                densities(start, n, block);
                for (int i = 0; i < n; ++i) {
                    while (start + i >= offsets[unit + 1]) ++unit;
                    for (int e = 0; e < k; ++e)
                        joint()[size_t(e) * kBlock + unit] += rows.r[size_t(e) * kBlock + i];
                }
                return !(tick && tick(state));
            }))
            return false;
        const RowKernel<F> kernel{pr, plan, rq, units, family};
        end_units(kernel, first, count, len, mass);
        if (rq.order < 1) return true;
        if (rq.order >= 3) std::fill_n(S_rows, size_t(k) * of * kBlock, 0.0);
        if (!each_block(offsets, count, [&](int64_t start, int n, int block, int unit) {
                scores(offsets, start, n, block, unit);
                return !(tick && tick(state));
            }))
            return false;
        if (rq.order >= 3) add_missing(count, len);
        return true;
    }

    double* joint() const { return units.given ? units.joint : units.r; }

    // work(first row, rows, padded rows, first row's group) for each block of rows of the groups.
    template <class Work>
    bool each_block(const int64_t* offsets, int count, Work work) {
        int unit = 0;
        for (int64_t start = offsets[0]; start < offsets[count]; start += kBlock) {
            const int n = int(std::min<int64_t>(kBlock, offsets[count] - start));
            while (start >= offsets[unit + 1]) ++unit;
            if (!work(start, n, padded(n), unit)) return false;
        }
        return true;
    }

    void begin_units(const int64_t* offsets, int64_t first, int count, int len) {
        pack_first(pr.shared ? pr.x : pr.z, offsets, count, len, units.z);
        pack_weights(pr, first, count, len, units.w);
        for (int i = 0; i < len; ++i) units.y[i] = i >= count ? 0.0 : double(offsets[i + 1] - offsets[i]);
        logits(len, rq.theta, g, q, units.z, gate_u.data());
        const RowKernel<F> kernel{pr, plan, rq, units, family};
        kernel.boundaries(len);
        kernel.gate(len);
        for (int e = 0; e < k; ++e)
            for (int v = 0; v < len; v += W) {
                V u = (e < g ? at(units.u, e, v) : V{}) - load(units.shift + v);
                if (pr.sparse()) u += at(units.off, e, v);
                put(joint(), e, v, u);
            }
    }

    void end_units(const RowKernel<F>& kernel, int64_t first, int count, int len, V* mass) {
        if (units.given) {
            for (int e = 0; e < k; ++e)
                for (int i = 0; i < len; ++i)
                    units.r[size_t(e) * kBlock + i] =
                        i < count ? rq.responsibilities[(first + i) * k + e] : 0.0;
            kernel.given_value(len);
        } else {
            kernel.posterior(len);
        }
        V value{};
        for (int v = 0; v < len; v += W) {
            const V w = load(units.w + v), size = load(units.y + v), inv = load(units.inv + v);
            if (!units.given) store(units.total + v, load(units.shift + v) + log_pos(load(units.total + v)));
            value += w * load(units.total + v);
            V all{};
            for (int e = 0; e < k; ++e) {
                put(units.pi, e, v, at(units.pi, e, v) * inv);
                mass[e] += w * size * at(units.r, e, v);
                all += at(units.r, e, v);
            }
            if (pr.soft()) kernel.means(v);
            for (int t = 0; t < G; ++t)
                put(units.s, t, v, w * (at(units.r_j, t, v) - all * at(units.pi_j, t, v)));
        }
        if (rq.order >= 2) kernel.gate_slots(len);
        part.value += hsum(value);
        if (rq.row_log_density) std::copy_n(units.total, count, rq.row_log_density + first);
        if (rq.row_responsibilities)
            for (int i = 0; i < count; ++i)
                for (int e = 0; e < k; ++e)
                    rq.row_responsibilities[(first + i) * k + e] = units.r[size_t(e) * kBlock + i];
        if (!g) return;
        double* features[4];
        features_of(pr, plan, units.z, nullptr, nullptr, features);
        for (int t = 0; rq.order >= 1 && t < G; t += g) {
            const int group = plan.group_of[t];
            dots(len, units.s + size_t(t) * kBlock, g, features[group], plan.groups[group].features,
                 part.gradient.data() + plan.first_parameter[t], q);
        }
        if (rq.order >= 2) add_grams(plan, units, len, features, part.gram.data(), 0, gate_jobs());
    }

    size_t gate_jobs() const { return !g ? 0 : pr.gate_parts() == 2 ? 3 : 1; }

    // Experts' log-densities of rows in rows.r, their scores in rows.s.
    void densities(int64_t start, int n, int len) {
        pack(pr.x, start, n, len, rows.x);
        pack_response(pr, start, n, len, rows.y);
        if (pr.family != Family::outside) predictors(pr, rq.theta, start, n, len, rows.x, expert_u.data());
        family.at_rows(start, n);
        for (int e = 0; e < k; ++e) {
            const size_t first = size_t(G + e * mm) * kBlock;
            family.density(e, len, rows.u + first, rows.y, rows.s + first,
                           rows.p + size_t(e * F::scratch(pr)) * kBlock, rows.r + size_t(e) * kBlock);
        }
    }

    void scores(const int64_t* offsets, int64_t start, int n, int len, int unit) {
        densities(start, n, len);
        const int T = pr.logits();
        for (int i = 0, own = unit; i < len; ++i) {
            while (i < n && start + i >= offsets[own + 1]) ++own;
            rows.w[i] = i < n ? units.w[own] : 0.0;
            for (int e = 0; e < k; ++e)
                rows.r[size_t(e) * kBlock + i] = i < n ? units.r[size_t(e) * kBlock + own] : 0.0;
        }
        if (rq.order >= 3) add_scores(offsets, start, n, unit);
        for (int e = 0; e < k; ++e) {
            const int te = G + e * mm;
            double *s = rows.s + size_t(te) * kBlock, *scratch = rows.p + size_t(e * F::scratch(pr)) * kBlock;
            const double* wr = rows.wr;
            fill(len, rows.wr, [&](int v) { return load(rows.w + v) * at(rows.r, e, v); });
            const auto weigh = [&](int slot, auto term) {
                if (slot >= 0)
                    fill(len, rows.weights + size_t(slot) * kBlock,
                         [&](int v) { return load(wr + v) * term(v); });
            };
            for (int c = 0; rq.order >= 2 && c < mm; ++c)
                for (int d = c; d < mm; ++d) {
                    const size_t at = size_t(te + c) * T + te + d;
                    weigh(plan.information_slot[at],
                          [&](int v) { return family.information(e, c, d, s, scratch, v); });
                    weigh(plan.curvature_slot[at],
                          [&](int v) { return family.curvature(e, c, d, s, scratch, v); });
                }
            // the scores last: a curvature may read them
            for (int c = 0; c < mm; ++c)
                fill(len, s + size_t(c) * kBlock, [&](int v) { return load(wr + v) * at(s, c, v); });
        }
        alignas(64) double constant[kBlock];
        std::fill_n(constant, kBlock, 1.0);
        double* features[4];
        features_of(pr, plan, units.z, rows.x, constant, features);
        for (int e = 0; e < k; ++e)
            for (int c = 0; c < mm; ++c) {
                const int t = G + e * mm + c, group = plan.group_of[t], count = plan.groups[group].features;
                const int run = c < m ? m : 1;  // predictors lie side by side
                dots(len, rows.s + size_t(t) * kBlock, run, features[group], count,
                     part.gradient.data() + plan.first_parameter[t], count);
                c += run - 1;
            }
        if (rq.order >= 2)
            add_grams(plan, rows, len, features, part.gram.data(), gate_jobs(), plan.jobs.size());
        if (rq.row_scores)
            for (int i = 0, own = unit; i < n; ++i) {
                while (start + i >= offsets[own + 1]) ++own;
                double* out = rq.row_scores + (start + i) * pr.scores();
                for (int a = 0; a < g; ++a) {
                    const size_t at = size_t(a) * kBlock + own;
                    out[a] = start + i == offsets[own] ? units.w[own] * (units.r[at] - units.pi[at]) : 0.0;
                }
                for (int t = g; t < pr.scores(); ++t) out[t] = rows.s[size_t(G - g + t) * kBlock + i];
            }
    }

    // S_e of the groups, one row a group: each row of the data adds its scores times its features.
    void add_scores(const int64_t* offsets, int64_t start, int n, int unit) {
        std::vector<double> x(static_cast<size_t>(p));
        for (int i = 0; i < n; ++i) {
            while (start + i >= offsets[unit + 1]) ++unit;
            for (int j = 0; j < p; ++j) x[size_t(j)] = rows.x[size_t(j) * kBlock + i];
            double* out = S_rows + size_t(unit) * k * of;
            for (int e = 0; e < k; ++e) {
                for (int c = 0; c < m; ++c, out += p) {
                    const double s = rows.s[size_t(G + e * mm + c) * kBlock + i];
                    for (int j = 0; j < p; ++j) out[j] += s * x[size_t(j)];
                }
                for (int c = m; c < mm; ++c) *out++ += rows.s[size_t(G + e * mm + c) * kBlock + i];
            }
        }
    }

    // scaled = weight(v) * source, `count` features
    template <class Weight>
    void scale(const double* source, int count, int len, Weight weight) {
        for (int v = 0; v < len; v += W) {
            const V w = weight(v);
            for (int j = 0; j < count; ++j) put(scaled, j, v, w * at(source, j, v));
        }
    }

    // Half of what ties the logits of a group, so that the sum of it and its transpose is the whole.
    void add_missing(int count, int len) {
        const size_t P = size_t(pr.parameters()), D = size_t(k) * of, gate = size_t(pr.gate_size());
        for (size_t j = 0; j < D; ++j)
            for (int i = 0; i < len; ++i) S[j * kBlock + i] = i < count ? S_rows[size_t(i) * D + j] : 0.0;
        double* features[4];
        features_of(pr, plan, units.z, nullptr, nullptr, features);
        const RowKernel<F> kernel{pr, plan, rq, units, family};
        const auto scores_of = [&](int e) { return S + size_t(e) * of * kBlock; };
        for (int e = 0; e < k; ++e) {
            const size_t own = gate + size_t(e) * of;
            for (int t = 0; t < G; ++t) {
                const int group = plan.group_of[t], count = plan.groups[group].features;
                scale(features[group], count, len, [&](int v) {
                    return at(units.r, e, v) * load(units.w + v) *
                           (kernel.turned(e, t, v) - at(units.r_j, t, v));
                });
                dots(len, scaled, count, scores_of(e), of,
                     part.missing.data() + size_t(plan.first_parameter[t]) * P + own, int(P));
            }
            for (int f = e; f < k; ++f) {
                scale(scores_of(e), of, len, [&](int v) {
                    const V r = at(units.r, e, v) * load(units.w + v), rf = at(units.r, f, v);
                    return f == e ? set1(0.5) * r * (set1(1.0) - rf) : -(r * rf);
                });
                dots(len, scaled, of, scores_of(f), of, part.missing.data() + own * P + gate + size_t(f) * of,
                     int(P));
            }
        }
    }
};

template <class F>
void group_pass(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last,
                Workspace& ws, Partial& part, bool (*tick)(void*), void* state) {
    GroupPass<F> block(pr, plan, rq, ws, part);
    std::vector<V> mass(static_cast<size_t>(pr.k), V{});
    for (int64_t start = first; start < last; start += kBlock)
        if (!block(start, std::min<int64_t>(last, start + kBlock), mass.data(), tick, state)) return;
    for (int e = 0; e < pr.k; ++e) part.mass[e] += hsum(mass[size_t(e)]);
}

void group_range(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last,
                 Workspace& ws, Partial& part, bool (*tick)(void*), void* state) {
    switch (pr.family) {
        case Family::multinomial:
            return group_pass<Multinomial<false>>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::gaussian: return group_pass<Gaussian>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::poisson: return group_pass<Poisson>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::outside: return group_pass<Outside>(pr, plan, rq, first, last, ws, part, tick, state);
    }
}

}  // namespace
}  // namespace MOESTRO_ISA
}  // namespace moestro
