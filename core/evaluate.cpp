// Splits rows over threads, adds the parts in a fixed order, spreads sums over parameters.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>

#include "problem.hpp"
#if defined(MOESTRO_X86)
#include "cpu.hpp"
#endif

namespace moestro {

namespace baseline { extern const Isa kIsa; }
#if defined(MOESTRO_X86)
namespace avx2 { extern const Isa kIsa; }
namespace avx512 { extern const Isa kIsa; }
#endif

double* Workspace::take(size_t doubles) {
    if (size < doubles + 8) {
        memory.reset(new double[doubles + 8]);  // not initialised: every pass writes before it reads
        size = doubles + 8;  // once it is there
    }
    const auto start = reinterpret_cast<uintptr_t>(memory.get());
    return reinterpret_cast<double*>((start + 63) / 64 * 64);
}

static std::vector<const Isa*> usable() {
    std::vector<const Isa*> found{&baseline::kIsa};
#if defined(MOESTRO_X86)
    static const Processor here;
    if (here.avx2) found.push_back(&avx2::kIsa);
    if (here.avx512) found.push_back(&avx512::kIsa);
#endif
    return found;
}

std::vector<const char*> available_isas() {
    std::vector<const char*> names;
    for (const Isa* isa : usable()) names.push_back(isa->name);
    return names;
}

const Isa& choose_isa(const char* name) {
    const auto found = usable();
    if (!name || !*name) return *found.back();
    for (const Isa* isa : found)
        if (std::string(isa->name) == name) return *isa;
    std::string known;
    for (const Isa* isa : found) known += (known.empty() ? "" : ", ") + std::string(isa->name);
    throw std::invalid_argument("instruction set '" + std::string(name) +
                                "' is not available here; choose one of: " + known);
}

namespace {

// Fixed by the shape of the problem alone, so that sums do not depend on the number of threads.
int64_t chunk_count(int64_t n, size_t doubles) {
    const int64_t by_rows = std::max<int64_t>(1, n / (8 * kBlock));
    const int64_t by_memory =
        std::max<int64_t>(2, int64_t(16u << 20) / int64_t(doubles + 1));  // 128 MB of parts
    return std::min({by_rows, by_memory, int64_t(64)});
}

// First unit of chunk c: of groups, the one whose rows begin at or after the c-th part of all rows.
int64_t chunk_start(const Problem& pr, int64_t c, int64_t chunks) {
    if (!pr.grouped()) return std::min(pr.n, c * ((pr.n + kBlock - 1) / kBlock) / chunks * kBlock);
    return std::lower_bound(pr.offsets, pr.offsets + pr.groups, c * pr.n / chunks) - pr.offsets;
}

struct Ticker {
    std::atomic<bool>* stop;
    bool (*interrupted)();
    std::chrono::steady_clock::time_point last;
    static bool call(void* self_) {
        auto* self = static_cast<Ticker*>(self_);
        if (self->stop->load(std::memory_order_relaxed)) return true;
        if (!self->interrupted) return false;
        const auto now = std::chrono::steady_clock::now();
        if (now - self->last < std::chrono::milliseconds(100)) return false;
        self->last = now;
        if (self->interrupted()) self->stop->store(true);
        return self->stop->load();
    }
};

void spread(const Problem& pr, const Plan& plan, const std::vector<double>& gram, Sums& out) {
    const size_t P = size_t(pr.parameters());
    for (const Job& job : plan.jobs) {
        const int fa = plan.groups[job.a].features, fb = plan.groups[job.b].features;
        for (int i = 0; i < job.slots; ++i) {
            const Slot& slot = plan.slots[job.first_slot + i];
            auto& matrix = slot.target == Target::curvature ? out.curvature : out.information;
            const size_t a0 = plan.first_parameter[slot.logit_a], b0 = plan.first_parameter[slot.logit_b];
            const double* g = gram.data() + job.offset + size_t(i) * job.products;
            for (int u = 0; u < fa; ++u)
                for (int v = job.symmetric ? u : 0; v < fb; ++v, ++g) {
                    matrix[(a0 + u) * P + b0 + v] = matrix[(b0 + v) * P + a0 + u] = *g;
                    if (job.symmetric) matrix[(a0 + v) * P + b0 + u] = matrix[(b0 + u) * P + a0 + v] = *g;
                }
        }
    }
}

// Adds M + M' to the curvature; in M the parameters of an expert are neighbours.
void spread_missing(const Problem& pr, const std::vector<double>& M, Sums& out) {
    const size_t P = size_t(pr.parameters()), gate = size_t(pr.gate_size()), of = pr.of_expert();
    std::vector<size_t> place(P);
    for (size_t i = 0; i < gate; ++i) place[i] = i;
    for (size_t e = 0; e < size_t(pr.k); ++e)
        for (size_t i = 0; i < of; ++i) {
            const size_t predictors = of - pr.nu;
            place[gate + e * of + i] =
                gate + (i < predictors ? e * predictors + i : pr.k * predictors + e * pr.nu + i - predictors);
        }
    for (size_t i = 0; i < P; ++i)
        for (size_t j = 0; j < P; ++j) out.curvature[place[i] * P + place[j]] += M[i * P + j] + M[j * P + i];
}

}  // namespace

Sums evaluate(const Problem& pr, const Request& rq, const Isa& isa, int threads, bool (*interrupted)()) {
    return evaluate(pr, Plan(pr, rq.order), rq, isa, threads, interrupted);
}

Sums evaluate(const Problem& pr, const Plan& plan, const Request& rq, const Isa& isa, int threads,
              bool (*interrupted)()) {
    const size_t P = size_t(pr.parameters());
    const size_t missing = pr.grouped() && rq.order >= 3 ? P * P : 0;
    const int64_t chunks = chunk_count(pr.n, P + plan.gram_size + missing);
    std::vector<Partial> parts(static_cast<size_t>(chunks));
    for (Partial& part : parts) {
        part.mass.assign(pr.k, 0.0);
        part.gradient.assign(rq.order >= 1 ? P : 0, 0.0);
        part.gram.assign(plan.gram_size, 0.0);
        part.missing.assign(missing, 0.0);
    }
    std::atomic<bool> stop{false};
    const auto now = std::chrono::steady_clock::now();
    Ticker of_main{&stop, interrupted, now}, of_others{&stop, nullptr, now};
    each(size_t(chunks), threads, [&](size_t c, bool main, const std::atomic<bool>&) {
        thread_local Workspace ws;  // small problems are called often
        if (stop.load()) return;
        const int64_t first = chunk_start(pr, int64_t(c), chunks),
                      last = chunk_start(pr, int64_t(c) + 1, chunks);
        isa.pass(pr, plan, rq, first, last, ws, parts[c], &Ticker::call, main ? &of_main : &of_others);
    });
    if (stop.load()) throw std::runtime_error("interrupted");

    Sums out;
    out.mass.assign(pr.k, 0.0);
    out.gradient.assign(rq.order >= 1 ? P : 0, 0.0);
    out.information.assign(rq.order >= 2 ? P * P : 0, 0.0);
    out.curvature.assign(rq.order >= 3 ? P * P : 0, 0.0);
    std::vector<double> gram(plan.gram_size, 0.0), between(missing, 0.0);
    for (const Partial& part : parts) {
        out.value += part.value;
        for (int e = 0; e < pr.k; ++e) out.mass[e] += part.mass[e];
        for (size_t i = 0; i < out.gradient.size(); ++i) out.gradient[i] += part.gradient[i];
        for (size_t i = 0; i < gram.size(); ++i) gram[i] += part.gram[i];
        for (size_t i = 0; i < missing; ++i) between[i] += part.missing[i];
    }
    spread(pr, plan, gram, out);
    if (missing) spread_missing(pr, between, out);
    // Maxima inside the passes drop NaN.
    if (std::any_of(rq.theta, rq.theta + P, [](double v) { return std::isnan(v); })) {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        out.value = nan;
        if (rq.row_log_density) std::fill_n(rq.row_log_density, pr.units(), nan);
        if (rq.row_responsibilities) std::fill_n(rq.row_responsibilities, pr.units() * pr.k, nan);
    }
    return out;
}

MixturePart mixture_sums(const Mixture& mx, const Isa& isa, int threads) {
    const size_t size = size_t(mx.k) * mx.monomials();
    const int64_t chunks = chunk_count(mx.n, size), blocks = (mx.n + kBlock - 1) / kBlock;
    std::vector<MixturePart> parts(static_cast<size_t>(chunks));
    each(size_t(chunks), threads, [&](size_t c, bool, const std::atomic<bool>&) {
        thread_local Workspace ws;
        parts[c].first.assign(size, 0.0);
        const int64_t first = int64_t(c) * blocks / chunks * kBlock;
        isa.mixture(mx, first, std::min(mx.n, (int64_t(c) + 1) * blocks / chunks * kBlock), ws, parts[c]);
    });
    MixturePart out = std::move(parts[0]);
    for (size_t c = 1; c < parts.size(); ++c) {
        out.value += parts[c].value;
        for (size_t i = 0; i < size; ++i) out.first[i] += parts[c].first[i];
    }
    return out;
}

}  // namespace moestro
