// The core's threads without Python, for ThreadSanitizer (tests/sanitize.sh): every call on four threads from
// three callers at once gives the bits of one thread.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "newton.hpp"

using namespace moestro;

namespace {

constexpr int n = 6000, d = 3, k = 3, starts = 4;

std::vector<double> numbers(size_t count, unsigned seed) {  // within [-1, 1)
    std::vector<double> out(count);
    unsigned state = seed;
    for (double& v : out) {
        state = state * 1664525u + 1013904223u;
        v = double(state >> 8) / double(1u << 23) - 1.0;
    }
    return out;
}

struct Data {
    std::vector<double> x = numbers(n * d, 1), y = numbers(n, 2), center = std::vector<double>(d, 0.0),
                        scale = std::vector<double>(d, 1.0);
    std::vector<int64_t> offsets;
    Problem problem;

    explicit Data(bool grouped) {
        problem.n = n;
        problem.x = Design{x.data(), d, 1, d, center.data(), scale.data()};
        problem.shared = true;
        problem.y = y.data();
        problem.k = k;
        problem.nu = 1;
        if (!grouped) return;
        for (int64_t i = 0; i <= n; i += 5) offsets.push_back(i);
        problem.offsets = offsets.data();
        problem.groups = int64_t(offsets.size()) - 1;
    }
};

void add(std::vector<double>& all, const std::vector<double>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

// Everything that the core computes with threads, one number after the other.
std::vector<double> everything(const Data& data, int threads) {
    const Problem& pr = data.problem;
    const Isa& isa = choose_isa(nullptr);
    const size_t P = size_t(pr.parameters());
    const std::vector<double> thetas = numbers(starts * P, 3);
    std::vector<double> density(size_t(pr.units())), responsibilities(size_t(pr.units()) * k);
    Request request;
    request.order = 3;
    request.theta = thetas.data();
    request.row_log_density = density.data();
    request.row_responsibilities = responsibilities.data();
    const Sums one = evaluate(pr, request, isa, threads, nullptr);
    std::vector<double> all{one.value};
    for (const auto& part :
         {one.mass, one.gradient, one.information, one.curvature, density, responsibilities})
        add(all, part);

    const Stacked many = evaluate_all(pr, thetas.data(), starts, 3, nullptr, {}, isa, threads, nullptr);
    for (const auto* part : {&many.value, &many.mass, &many.gradient, &many.information, &many.curvature})
        add(all, *part);

    std::vector<int> owner(P);
    for (size_t i = 0; i < P; ++i) owner[i] = int(i);
    const std::vector<double> lower(P, -5.0), upper(P, 5.0);
    const Space space{int(P), owner.data(), lower.data(), upper.data()};
    const Region region{1.0,  1e-8,  1e-4,  1e8,   1e-4, 0.75,      0.25, 0.3, 4.0,
                        10.0, 1e-12, 1e-14, 1e-15, 0.0,  double(n), 1e-6, 5};
    const NewtonEnds ends = newton_all(pr, space, region, thetas.data(), starts, isa, threads, nullptr);
    for (const auto* part : {&ends.phi, &ends.value, &ends.mass, &ends.iterations, &ends.converged})
        add(all, *part);

    Mixture mixture;
    mixture.n = n;
    mixture.columns = d;
    mixture.k = k;
    mixture.rows = data.x.data();
    const std::vector<double> weights = numbers(size_t(k * mixture.monomials()), 4);
    mixture.theta = weights.data();
    const MixturePart part = mixture_sums(mixture, isa, threads);
    all.push_back(part.value);
    add(all, part.first);

    constexpr size_t systems = 40, size = 30;
    std::vector<double> M(systems * size * size, 0.0), right = numbers(systems * size, 5),
                                                       solution(systems * size), solved(systems);
    for (size_t s = 0; s < systems; ++s)
        for (size_t i = 0; i < size; ++i) M[(s * size + i) * size + i] = 2.0 + double(i);
    solve_all(M.data(), right.data(), systems, size, threads, solution.data(), solved.data());
    add(all, solution);
    add(all, solved);
    return all;
}

bool refuse() { return true; }

// What a work throws, and an interrupt, leave from the caller with every thread joined.
void ends_early(const Data& data) {
    bool thrown = false;
    try {
        each(100, 4, [](size_t i, bool, const std::atomic<bool>&) {
            if (i == 17) throw std::runtime_error("17");
        });
    } catch (const std::runtime_error& error) {
        thrown = std::string(error.what()) == "17";
    }
    if (!thrown) throw std::logic_error("an exception was lost");
    const std::vector<double> thetas = numbers(size_t(data.problem.parameters()), 3);
    Request request;
    request.order = 1;
    request.theta = thetas.data();
    try {  // asked at most every tenth of a second: a short pass may end before
        for (int i = 0; i < 200; ++i) evaluate(data.problem, request, choose_isa(nullptr), 4, &refuse);
    } catch (const std::runtime_error&) {
    }
}

}  // namespace

int main() {
    for (bool grouped : {false, true}) {
        const Data data(grouped);
        const std::vector<double> alone = everything(data, 1);
        if (!std::all_of(alone.begin(), alone.end(), [](double v) { return std::isfinite(v); })) return 2;
        std::vector<std::vector<double>> found(3);
        std::vector<std::thread> callers;
        for (auto& out : found) callers.emplace_back([&] { out = everything(data, 4); });
        for (auto& caller : callers) caller.join();
        for (const auto& out : found)
            if (out != alone) return 3;
        ends_early(data);
    }
    std::puts("the same bits on one thread and on four, from three callers at once");
}
