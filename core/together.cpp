// Several fits of one problem side by side: a search spends its time here, not in the interpreter.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <thread>

#include "problem.hpp"

namespace moestro {
namespace {

// work(i, main) for every i below count, on up to `threads` threads; each i is done whole by one of them.
void each(size_t count, int threads, const std::function<void(size_t, bool)>& work) {
    std::atomic<size_t> next{0};
    const auto loop = [&](bool main) {
        for (size_t i; (i = next.fetch_add(1)) < count;) work(i, main);
    };
    std::vector<std::thread> pool;
    const size_t helpers = std::min(size_t(std::max(threads, 1)), std::max(count, size_t(1))) - 1;
    for (size_t i = 0; i < helpers; ++i) pool.emplace_back(loop, false);
    loop(true);
    for (auto& thread : pool) thread.join();
}

}  // namespace

Stacked evaluate_all(const Problem& pr, const double* thetas, size_t count, int order, const double* responsibilities,
                     const Isa& isa, int threads, bool (*interrupted)()) {
    const size_t P = size_t(pr.parameters()), k = size_t(pr.k), units = size_t(pr.units());
    Stacked out;
    out.value.resize(count);
    out.mass.resize(count * k);
    out.gradient.resize(order >= 1 ? count * P : 0);
    out.information.resize(order >= 2 ? count * P * P : 0);
    out.curvature.resize(order >= 3 ? count * P * P : 0);
    std::atomic<bool> stop{false};
    each(count, threads, [&](size_t i, bool main) {
        if (stop.load(std::memory_order_relaxed)) return;
        Request rq;
        rq.order = order;
        rq.theta = thetas + i * P;
        rq.responsibilities = responsibilities ? responsibilities + i * units * k : nullptr;
        try {
            const Sums s = evaluate(pr, rq, isa, 1, main ? interrupted : nullptr);
            out.value[i] = s.value;
            std::copy(s.mass.begin(), s.mass.end(), out.mass.begin() + i * k);
            std::copy(s.gradient.begin(), s.gradient.end(), out.gradient.begin() + (order >= 1 ? i * P : 0));
            std::copy(s.information.begin(), s.information.end(), out.information.begin() + (order >= 2 ? i * P * P : 0));
            std::copy(s.curvature.begin(), s.curvature.end(), out.curvature.begin() + (order >= 3 ? i * P * P : 0));
        } catch (const std::exception&) {  // interrupted, or no memory: nothing may leave a thread
            stop.store(true);
        }
    });
    if (stop.load()) throw std::runtime_error("interrupted");
    return out;
}

void solve_all(const double* M, const double* g, size_t count, size_t size, int threads, double* p, double* solved) {
    const bool small = count * size * size * size < 200000;  // a thread costs more than that many products
    each(count, small ? 1 : threads, [&](size_t s, bool) {
        thread_local std::vector<double> L;
        L.assign(M + s * size * size, M + (s + 1) * size * size);
        double* x = p + s * size;
        solved[s] = 0.0;
        std::fill(x, x + size, 0.0);
        for (size_t j = 0; j < size; ++j) {  // Cholesky, row by row
            double* row = L.data() + j * size;
            for (size_t i = 0; i <= j; ++i) {
                const double* other = L.data() + i * size;
                double sum = row[i];
                for (size_t t = 0; t < i; ++t) sum -= row[t] * other[t];
                if (i < j) {
                    row[i] = sum / other[i];
                } else {
                    if (!(sum > 0.0)) return;  // NaN too
                    row[j] = std::sqrt(sum);
                }
            }
        }
        for (size_t j = 0; j < size; ++j) {
            double sum = g[s * size + j];
            for (size_t t = 0; t < j; ++t) sum -= L[j * size + t] * x[t];
            x[j] = sum / L[j * size + j];
        }
        for (size_t j = size; j-- > 0;) {
            x[j] /= L[j * size + j];
            for (size_t t = 0; t < j; ++t) x[t] -= L[j * size + t] * x[j];
        }
        solved[s] = 1.0;
    });
}

}  // namespace moestro
