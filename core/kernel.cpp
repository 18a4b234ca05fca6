// One pass over a range of rows, compiled once for each instruction set (see CMakeLists.txt).
//
// Per row, with gate logits u, experts' log-densities l_e and scores s_e:
//   L = log sum_e pi_e exp(l_e),  r_e = pi_e exp(l_e - L)
//   dL/du = r - pi,               dL/deta_e = r_e s_e
//   d2L/du_a du_b     = [a=b](r_a - pi_a) - r_a r_b + pi_a pi_b
//   d2L/du_a deta_e   = r_e([a=e] - r_a) s_e
//   d2L/deta_e deta_f = [e=f] r_e (s_e s_e' + C_e) - r_e r_f s_e s_f'
// and each parameter block is sum over rows of such a number times the outer product of two features.
#include <chrono>

#include "families.hpp"
#include "gemm.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

struct Buffers {
    double *x, *z, *y, *w;      // packed block: features (p x kBlock), response, weight
    double *u, *s;              // logits and weighted scores (logits x kBlock)
    double *r;                  // given responsibilities (k x kBlock), or null
    double *weights, *products; // curvature pass: slots and feature products
    V *pi, *res, *num, *score, *scratch;
};

void pack(const Design& d, int64_t first, int rows, double* out) {
    for (int i = 0; i < kBlock; ++i) out[i] = i < rows ? 1.0 : 0.0;
    const double* base = d.data + first * d.row_stride;
    // Eight columns at a time: each row's cache line is read once, whatever the layout.
    for (int j0 = 0; j0 < d.columns; j0 += 8) {
        const int j1 = j0 + 8 < d.columns ? j0 + 8 : d.columns;
        for (int j = j0; j < j1; ++j) {
            const double c = d.center[j], s = d.inv_scale[j];
            const double* col = base + j * d.col_stride;
            double* o = out + size_t(j + 1) * kBlock;
            for (int i = 0; i < rows; ++i) o[i] = (col[i * d.row_stride] - c) * s;
            for (int i = rows; i < kBlock; ++i) o[i] = 0.0;
        }
    }
}

template <class F, bool Fast>
struct RowKernel {
    const Problem& pr;
    const Plan& plan;
    const Request& rq;
    Buffers& b;
    F family;

    // Fills scores (and slots) of the rows [v, v + W) of the block; returns the weighted value.
    inline V operator()(int v, V* mass, V* log_density) {
        const int k = pr.k, g = k - 1, m = pr.m, mm = m + F::nuisance;
        const V one = set1(1.0), y = load(b.y + v), w = load(b.w + v);
        V top{}, sum{};
        if constexpr (!Fast)
            for (int a = 0; a < g; ++a) top = vmax(top, load(b.u + a * kBlock + v));
        for (int a = 0; a < k; ++a) {
            if constexpr (Fast) b.pi[a] = a < g ? exp_core(load(b.u + a * kBlock + v)) : one;
            else b.pi[a] = exp_any((a < g ? load(b.u + a * kBlock + v) : V{}) - top);
            sum += b.pi[a];
        }
        V best = set1(-1.7e308), total{};
        for (int e = 0; e < k; ++e) {
            family.prepare(e);
            const double* eta = b.u + size_t(g + e * mm) * kBlock + v;
            if constexpr (Fast) {
                b.num[e] = b.pi[e] * family.density(eta, y, b.score + e * mm, b.scratch + e * m);
                total += b.num[e];
            } else {
                b.num[e] = family.log_density(eta, y, b.score + e * mm, b.scratch + e * m);
                b.num[e] += (e < g ? load(b.u + e * kBlock + v) : V{}) - top;
                best = vmax(best, b.num[e]);
            }
        }
        V L;
        const V inv_sum = one / sum;
        for (int a = 0; a < k; ++a) b.pi[a] *= inv_sum;
        if (b.r) {
            L = V{};
            for (int e = 0; e < k; ++e) {
                b.res[e] = load(b.r + e * kBlock + v);
                L += b.res[e] * (b.num[e] - log_pos(sum));
            }
        } else {
            if constexpr (!Fast)
                for (int e = 0; e < k; ++e) total += b.num[e] = exp_any(b.num[e] - best);
            const V inv = one / total;
            for (int e = 0; e < k; ++e) b.res[e] = b.num[e] * inv;
            L = Fast ? log_pos(total * inv_sum) : best + log_pos(total * inv_sum);
        }
        *log_density = L;
        for (int e = 0; e < k; ++e) mass[e] += w * b.res[e];
        if (rq.order >= 1) {
            for (int a = 0; a < g; ++a) store(b.s + a * kBlock + v, w * (b.res[a] - b.pi[a]));
            for (int e = 0; e < k; ++e)
                for (int c = 0; c < mm; ++c)
                    store(b.s + size_t(g + e * mm + c) * kBlock + v, w * b.res[e] * b.score[e * mm + c]);
        }
        if (rq.order >= 2) slots(v, w, g, m, mm);
        return w * L;
    }

    inline void put(int slot, int v, V value) { store(b.weights + size_t(slot) * kBlock + v, value); }

    inline void slots(int v, V w, int g, int m, int mm) {
        const int k = pr.k, T = pr.logits();
        const V one = set1(1.0);
        for (int a = 0; a < g; ++a)
            for (int c = a; c < g; ++c) {
                const V pp = b.pi[a] * b.pi[c], rr = b.res[a] * b.res[c];
                put(plan.information_slot[size_t(a) * T + c], v, w * (a == c ? b.pi[a] - pp : -pp));
                if (rq.order >= 3)
                    put(plan.curvature_slot[size_t(a) * T + c], v,
                        w * (a == c ? b.res[a] - b.pi[a] - rr + pp : pp - rr));
            }
        for (int e = 0; e < k; ++e) {
            family.prepare(e);
            const V *s = b.score + e * mm, *p = b.scratch + e * m;
            const V wr = w * b.res[e];
            const int te = g + e * mm;
            for (int c = 0; c < mm; ++c)
                for (int d = c; d < mm; ++d) {
                    const int at = plan.information_slot[size_t(te + c) * T + te + d];
                    if (at >= 0) put(at, v, wr * family.information(c, d, s, p));
                }
            if (rq.order < 3) continue;
            for (int c = 0; c < mm; ++c) {
                const V rs = wr * s[c];
                for (int a = 0; a < g; ++a)
                    put(plan.curvature_slot[size_t(a) * T + te + c], v,
                        rs * (a == e ? one - b.res[a] : -b.res[a]));
                for (int d = c; d < mm; ++d)
                    put(plan.curvature_slot[size_t(te + c) * T + te + d], v,
                        rs * s[d] * (one - b.res[e]) + wr * family.curvature(c, d, s, p));
                for (int f = e + 1; f < k; ++f)
                    for (int d = 0; d < mm; ++d)
                        put(plan.curvature_slot[size_t(te + c) * T + g + f * mm + d], v,
                            -rs * b.res[f] * b.score[f * mm + d]);
            }
        }
    }
};

// Adds weight[slot] . (feature i * feature j) for every job of the plan.
void add_grams(const Plan& plan, Buffers& b, double* const* features, double* gram) {
    for (const Job& job : plan.jobs) {
        const int fa = plan.groups[job.a].features, fb = plan.groups[job.b].features;
        const double *xa = features[job.a], *xb = features[job.b];
        const double* weights = b.weights + size_t(job.first_slot) * kBlock;
        double* out = gram + job.offset;
        if (fa == 1 || fb == 1) {
            dots(weights, job.slots, fb == 1 ? xa : xb, job.products, out, job.products);
            continue;
        }
        int filled = 0, done = 0;
        for (int i = 0; i < fa; ++i)
            for (int j = job.symmetric ? i : 0; j < fb; ++j) {
                double* q = b.products + size_t(filled) * kBlock;
                for (int v = 0; v < kBlock; v += W)
                    store(q + v, load(xa + size_t(i) * kBlock + v) * load(xb + size_t(j) * kBlock + v));
                if (++filled == kStrip || done + filled == job.products) {
                    dots(weights, job.slots, b.products, filled, out + done, job.products);
                    done += filled;
                    filled = 0;
                }
            }
    }
}

void add_gradient(const Problem& pr, const Plan& plan, const Buffers& b, double* const* features, double* gradient) {
    // Weighted scores of a group's logits are contiguous runs: the gate, each expert's means, each nuisance.
    const int g = pr.gate_logits(), m = pr.m, mm = m + pr.nuisance();
    const auto add = [&](int t, int count) {
        const int group = plan.group_of[t], f = plan.groups[group].features;
        dots(b.s + size_t(t) * kBlock, count, features[group], f, gradient + plan.first_parameter[t], f);
    };
    if (pr.shared && mm == m) return add(0, pr.logits());
    if (g) add(0, g);
    if (mm == m) return add(g, pr.k * m);
    for (int e = 0; e < pr.k; ++e) {
        add(g + e * mm, m);
        add(g + e * mm + m, 1);
    }
}

template <class F>
void pass(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last, Workspace& ws,
          Partial& part, bool (*tick)(void*), void* tick_state) {
    const int k = pr.k, g = k - 1, m = pr.m, mm = m + F::nuisance, T = pr.logits(), p = pr.p(), q = pr.q();
    const size_t slots = plan.slots.size();
    const size_t vectors = size_t(3 * k + k * mm + k * m + k) * W;
    double* memory = ws.take(size_t(kBlock) * (p + q + 2 + 2 * T + k + slots + (rq.order >= 2 ? kStrip : 0)) + vectors);
    Buffers b{};
    const auto carve = [&](size_t doubles) {
        double* at = memory;
        memory += doubles;
        return at;
    };
    b.x = carve(size_t(p) * kBlock);
    b.z = pr.shared ? b.x : carve(size_t(q) * kBlock);
    b.y = carve(kBlock);
    b.w = carve(kBlock);
    b.u = carve(size_t(T) * kBlock);
    b.s = carve(size_t(T) * kBlock);
    b.r = rq.responsibilities ? carve(size_t(k) * kBlock) : nullptr;
    b.weights = carve(slots * kBlock);
    b.products = rq.order >= 2 ? carve(size_t(kStrip) * kBlock) : nullptr;
    b.pi = reinterpret_cast<V*>(carve(size_t(k) * W));
    b.res = reinterpret_cast<V*>(carve(size_t(k) * W));
    b.num = reinterpret_cast<V*>(carve(size_t(k) * W));
    b.score = reinterpret_cast<V*>(carve(size_t(k) * mm * W));
    b.scratch = reinterpret_cast<V*>(carve(size_t(k) * m * W));
    V* mass = reinterpret_cast<V*>(carve(size_t(k) * W));
    for (int e = 0; e < k; ++e) mass[e] = V{};

    alignas(64) double constant[kBlock];
    for (double& c : constant) c = 1.0;
    double* features[3];
    for (size_t i = 0; i < plan.groups.size(); ++i) {
        const int t = plan.groups[i].logits[0];
        features[i] = plan.groups[i].features == 1 && t >= g && mm > m && (t - g) % mm == m ? constant
                      : t < g                                                              ? b.z
                                                                                           : b.x;
    }
    std::vector<double*> gate_u(g), expert_u(size_t(k) * m);
    for (int a = 0; a < g; ++a) gate_u[a] = b.u + size_t(a) * kBlock;
    for (int e = 0; e < k; ++e)
        for (int c = 0; c < m; ++c) expert_u[e * m + c] = b.u + size_t(g + e * mm + c) * kBlock;

    RowKernel<F, false> careful{pr, plan, rq, b, F(pr, rq.theta)};
    RowKernel<F, F::has_linear_form> fast{pr, plan, rq, b, F(pr, rq.theta)};

    for (int64_t at = first; at < last; at += kBlock) {
        const int rows = int(last - at < kBlock ? last - at : kBlock);
        pack(pr.x, at, rows, b.x);
        if (!pr.shared) pack(pr.z, at, rows, b.z);
        for (int i = 0; i < kBlock; ++i) {
            b.y[i] = i < rows ? (pr.y[at + i] - pr.y_center) * pr.y_inv_scale : 0.0;
            b.w[i] = i < rows ? (pr.w ? pr.w[at + i] : 1.0) : 0.0;
        }
        if (b.r)
            for (int e = 0; e < k; ++e)
                for (int i = 0; i < kBlock; ++i)
                    b.r[e * kBlock + i] = i < rows ? rq.responsibilities[(at + i) * k + e] : 0.0;
        logits(rq.theta, g, q, b.z, gate_u.data());
        logits(rq.theta + size_t(g) * q, k * m, p, b.x, expert_u.data());

        bool small = F::has_linear_form && !b.r;
        if (small) {
            V top{};
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < kBlock; v += W) top = vmax(top, vabs(load(b.u + size_t(t) * kBlock + v)));
            small = !any_true(top > set1(kFastLogit));
        }
        V value{};
        alignas(64) double row_value[kBlock];
        for (int v = 0; v < kBlock; v += W) {
            V L;
            value += small ? fast(v, mass, &L) : careful(v, mass, &L);
            store(row_value + v, L);
            if (rq.row_responsibilities)
                for (int e = 0; e < k; ++e)
                    for (int i = 0; i < W && v + i < rows; ++i)
                        rq.row_responsibilities[(at + v + i) * k + e] = b.res[e][i];
        }
        part.value += hsum(value);
        if (rq.row_log_density)
            for (int i = 0; i < rows; ++i) rq.row_log_density[at + i] = row_value[i];
        if (rq.row_scores)
            for (int t = 0; t < T; ++t)
                for (int i = 0; i < rows; ++i) rq.row_scores[(at + i) * T + t] = b.s[size_t(t) * kBlock + i];
        if (rq.order >= 1) add_gradient(pr, plan, b, features, part.gradient.data());
        if (rq.order >= 2) add_grams(plan, b, features, part.gram.data());
        if (tick && tick(tick_state)) return;
    }
    for (int e = 0; e < k; ++e) part.mass[e] += hsum(mass[e]);
}

void range_pass(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last, Workspace& ws,
                Partial& part, bool (*tick)(void*), void* state) {
    switch (pr.family) {
        case Family::multinomial: return pass<Multinomial>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::gaussian: return pass<Gaussian>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::poisson: return pass<Poisson>(pr, plan, rq, first, last, ws, part, tick, state);
    }
}

// The machine's own floor, for `moestro bench`: independent chains that keep every unit busy.
template <class Step>
double rate(double seconds, double per_call, Step step) {
    using clock = std::chrono::steady_clock;
    const auto start = clock::now();
    double calls = 0, elapsed = 0;
    do {
        for (int i = 0; i < 64; ++i) step();
        calls += 64;
        elapsed = std::chrono::duration<double>(clock::now() - start).count();
    } while (elapsed < seconds);
    return calls * per_call / elapsed;
}

volatile double sink;

double fma_per_second(double seconds) {
    constexpr int chains = 12;
    V acc[chains];
    for (int i = 0; i < chains; ++i) acc[i] = set1(1.0 + i);
    volatile double opaque = 0.999999999;
    const V c = set1(opaque), d = set1(opaque * 1e-9);
    const double result = rate(seconds, 256.0 * chains * W, [&] {
        for (int i = 0; i < 256; ++i)
            for (int j = 0; j < chains; ++j) acc[j] = acc[j] * c + d;
    });
    V total{};
    for (V a : acc) total += a;
    sink = hsum(total);
    return result;
}

double exp_per_second(double seconds) {
    alignas(64) double a[512], out[512];
    for (int i = 0; i < 512; ++i) a[i] = -4.0 + i / 64.0;
    const double result = rate(seconds, 512.0, [&] {
        for (int v = 0; v < 512; v += W) store(out + v, exp_core(load(a + v)));
        sink = out[17];
    });
    return result;
}

}  // namespace

#define MOESTRO_STRING_(x) #x
#define MOESTRO_STRING(x) MOESTRO_STRING_(x)
extern const Isa kIsa;
const Isa kIsa = {MOESTRO_STRING(MOESTRO_ISA), range_pass, fma_per_second, exp_per_second};

}  // namespace MOESTRO_ISA
}  // namespace moestro
