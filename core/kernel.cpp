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

#include "block.hpp"
#include "groups.hpp"
#include "mixture.hpp"

namespace moestro {
namespace MOESTRO_ISA {
namespace {

// Linear is the fast form of the family, used for blocks whose logits are small; Careful works for all.
template <class Careful, class Linear>
void pass(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last, Workspace& ws,
          Partial& part, bool (*tick)(void*), void* tick_state) {
    const int k = pr.k, g = k - 1, G = pr.gate_logits(), m = pr.m, mm = m + pr.nu, T = pr.logits(),
              p = pr.p(), q = pr.q();
    const size_t slots = plan.slots.size(), strip = rq.order >= 2 ? kStrip : 0;
    Carver carve{ws.take(kBlock * (size_t(p) + q + 2 + 2 * T + 2 * k + k * Careful::scratch(pr) + 2 * k +
                                   soft_columns(pr) + 5 + slots + strip) +
                         size_t(k) * W)};
    Buffers b{};
    b.given = rq.responsibilities != nullptr;
    b.x = carve(p);
    b.z = pr.shared ? b.x : carve(q);
    b.y = carve(1);
    b.w = carve(1);
    b.u = carve(T);
    b.s = carve(T);
    b.pi = carve(k);
    b.r = carve(k);
    b.p = carve(size_t(k) * Careful::scratch(pr));
    b.joint = b.given ? carve(k) : nullptr;
    carve_boundaries(pr, carve, b);
    b.inv = carve(1);
    b.shift = carve(1);
    b.total = carve(1);
    b.wr = carve(1);
    b.rs = carve(1);
    b.weights = carve(slots);
    b.products = carve(strip);
    V* mass = reinterpret_cast<V*>(carve.at);
    for (int e = 0; e < k; ++e) mass[e] = V{};

    alignas(64) double constant[kBlock];
    for (double& c : constant) c = 1.0;
    double* features[4];
    features_of(pr, plan, b.z, b.x, constant, features);
    std::vector<double*> gate_u(g), expert_u(size_t(k) * m);
    for (int a = 0; a < g; ++a) gate_u[a] = b.u + size_t(a) * kBlock;
    for (int e = 0; e < k; ++e)
        for (int c = 0; c < m; ++c) expert_u[e * m + c] = b.u + size_t(G + e * mm + c) * kBlock;
    for (int e = 0; e < k; ++e)  // the slots of nuisances in u are never written: keep them finite
        std::fill_n(b.u + size_t(G + e * mm + m) * kBlock, size_t(pr.nu) * kBlock, 0.0);

    const RowKernel<Careful> careful{pr, plan, rq, b, Careful(pr, rq)};
    const RowKernel<Linear> linear{pr, plan, rq, b, Linear(pr, rq)};

    for (int64_t start = first; start < last; start += kBlock) {
        const int rows = int(last - start < kBlock ? last - start : kBlock);
        const int len = padded(rows);
        pack(pr.x, start, rows, len, b.x);
        if (!pr.shared) pack(pr.z, start, rows, len, b.z);
        pack_response(pr, start, rows, len, b.y);
        pack_weights(pr, start, rows, len, b.w);
        if (b.given)
            for (int e = 0; e < k; ++e)
                for (int i = 0; i < len; ++i)
                    b.r[size_t(e) * kBlock + i] = i < rows ? rq.responsibilities[(start + i) * k + e] : 0.0;
        logits(len, rq.theta, g, q, b.z, gate_u.data());
        if (pr.family != Family::outside) predictors(pr, rq.theta, start, rows, len, b.x, expert_u.data());
        careful.family.at_rows(start, rows);
        bool small = Linear::linear && !b.given && !pr.soft();
        if (small) {
            V top{};
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < len; v += W) top = vmax(top, vabs(at(b.u, t, v)));
            small = !any_true(top > set1(kFastLogit));
        }
        part.value += small ? linear(len, mass) : careful(len, mass);
        if (rq.row_responsibilities)
            for (int i = 0; i < rows; ++i)
                for (int e = 0; e < k; ++e)
                    rq.row_responsibilities[(start + i) * k + e] = b.r[size_t(e) * kBlock + i];
        if (rq.row_log_density) std::copy_n(b.total, rows, rq.row_log_density + start);
        if (rq.row_scores)
            for (int i = 0; i < rows; ++i)
                for (int t = 0; t < pr.scores(); ++t)
                    rq.row_scores[(start + i) * pr.scores() + t] =
                        t < g ? b.w[i] * (b.r[size_t(t) * kBlock + i] - b.pi[size_t(t) * kBlock + i])
                              : b.s[size_t(G - g + t) * kBlock + i];
        if (rq.order >= 1) add_gradient(pr, plan, b, len, features, part.gradient.data());
        if (rq.order >= 2) add_grams(plan, b, len, features, part.gram.data(), 0, plan.jobs.size());
        if (tick && tick(tick_state)) return;
    }
    for (int e = 0; e < k; ++e) part.mass[e] += hsum(mass[e]);
}

void range_pass(const Problem& pr, const Plan& plan, const Request& rq, int64_t first, int64_t last,
                Workspace& ws, Partial& part, bool (*tick)(void*), void* state) {
    if (pr.grouped()) return group_range(pr, plan, rq, first, last, ws, part, tick, state);
    switch (pr.family) {
        case Family::multinomial:
            return pass<Multinomial<false>, Multinomial<true>>(pr, plan, rq, first, last, ws, part, tick,
                                                               state);
        case Family::gaussian:
            return pass<Gaussian, Gaussian>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::poisson: return pass<Poisson, Poisson>(pr, plan, rq, first, last, ws, part, tick, state);
        case Family::outside: return pass<Outside, Outside>(pr, plan, rq, first, last, ws, part, tick, state);
    }
}

void predictor_pass(const Problem& pr, const double* theta, int64_t first, int64_t last, Workspace& ws,
                    double* out) {
    const int km = pr.k * pr.m, mm = pr.m + pr.nu;
    Carver carve{ws.take(kBlock * (size_t(pr.p()) + km))};
    double* x = carve(pr.p());
    double* u = carve(km);
    std::vector<double*> of(static_cast<size_t>(km));
    for (int t = 0; t < km; ++t) of[size_t(t)] = u + size_t(t) * kBlock;
    for (int64_t start = first; start < last; start += kBlock) {
        const int rows = int(last - start < kBlock ? last - start : kBlock), len = padded(rows);
        pack(pr.x, start, rows, len, x);
        predictors(pr, theta, start, rows, len, x, of.data());
        for (int t = 0; t < km; ++t)
            std::copy_n(of[size_t(t)], rows, out + (size_t(t / pr.m) * mm + t % pr.m) * pr.n + start);
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
const Isa kIsa = {
    MOESTRO_STRING(MOESTRO_ISA), range_pass, predictor_pass, mixture_pass, fma_per_second, exp_per_second};

}  // namespace MOESTRO_ISA
}  // namespace moestro
