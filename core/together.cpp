// Several fits of one problem side by side: a search spends its time here, not in the interpreter.
#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "problem.hpp"

namespace moestro {

void each(size_t count, int threads,
          const std::function<void(size_t, bool, const std::atomic<bool>&)>& work) {
    std::atomic<size_t> next{0};
    std::atomic<bool> stop{false};
    std::exception_ptr thrown;
    std::mutex first;
    const auto loop = [&](bool main) {
        for (size_t i; !stop.load(std::memory_order_relaxed) && (i = next.fetch_add(1)) < count;) {
            try {
                work(i, main, stop);
            } catch (...) {  // nothing may leave a thread
                const std::lock_guard<std::mutex> lock(first);
                if (!thrown) thrown = std::current_exception();
                stop.store(true);
            }
        }
    };
    std::vector<std::thread> pool;
    const size_t helpers = std::min(size_t(std::max(threads, 1)), std::max(count, size_t(1))) - 1;
    pool.reserve(helpers);
    try {
        for (size_t i = 0; i < helpers; ++i) pool.emplace_back(loop, false);
    } catch (...) {  // no more threads to be had: fewer give the same sums
    }
    loop(true);
    for (auto& thread : pool) thread.join();
    if (thrown) std::rethrow_exception(thrown);
}

Stacked evaluate_all(const Problem& pr, const double* thetas, size_t count, int order,
                     const double* responsibilities, const std::vector<Terms>& terms, const Isa& isa,
                     int threads, bool (*interrupted)()) {
    const size_t P = size_t(pr.parameters()), k = size_t(pr.k), n = size_t(pr.n), units = size_t(pr.units());
    Stacked out;
    out.value.resize(count);
    out.mass.resize(count * k);
    out.gradient.resize(order >= 1 ? count * P : 0);
    out.information.resize(order >= 2 ? count * P * P : 0);
    out.curvature.resize(order >= 3 ? count * P * P : 0);
    const Plan plan(pr, order);
    const bool small = count * n * P < 150000;  // about a millisecond
    each(count, small ? 1 : threads, [&](size_t i, bool main, const std::atomic<bool>&) {
        Request rq;
        rq.order = order;
        rq.theta = thetas + i * P;
        rq.responsibilities = responsibilities ? responsibilities + i * units * k : nullptr;
        rq.terms = terms.empty() ? nullptr : &terms[i];
        const Sums s = evaluate(pr, plan, rq, isa, 1, main ? interrupted : nullptr);
        out.value[i] = s.value;
        std::copy(s.mass.begin(), s.mass.end(), out.mass.begin() + i * k);
        std::copy(s.gradient.begin(), s.gradient.end(), out.gradient.begin() + (order >= 1 ? i * P : 0));
        std::copy(s.information.begin(), s.information.end(),
                  out.information.begin() + (order >= 2 ? i * P * P : 0));
        std::copy(s.curvature.begin(), s.curvature.end(),
                  out.curvature.begin() + (order >= 3 ? i * P * P : 0));
    });
    return out;
}

bool solve_one(double* M, const double* g, size_t size, double* x) {
    std::fill(x, x + size, 0.0);
    for (size_t j = 0; j < size;
         ++j) {  // Cholesky M = U'U, U in the upper triangle; every loop runs along a row
        double* row = M + j * size;
        if (!(row[j] > 0.0)) return false;  // NaN too
        row[j] = std::sqrt(row[j]);
        for (size_t t = j + 1; t < size; ++t) row[t] /= row[j];
        for (size_t i = j + 1; i < size; ++i) {
            double* other = M + i * size;
            const double by = row[i];
            for (size_t t = i; t < size; ++t) other[t] -= by * row[t];
        }
    }
    std::copy(g, g + size, x);
    for (size_t j = 0; j < size; ++j) {
        const double* row = M + j * size;
        x[j] /= row[j];
        for (size_t t = j + 1; t < size; ++t) x[t] -= row[t] * x[j];
    }
    for (size_t j = size; j-- > 0;) {
        const double* row = M + j * size;
        for (size_t t = size; --t > j;) x[j] -= row[t] * x[t];
        x[j] /= row[j];
    }
    return true;
}

void solve_all(const double* M, const double* g, size_t count, size_t size, int threads, double* p,
               double* solved) {
    const bool small = count * size * size * size < 200000;  // a thread costs more than that many products
    each(count, small ? 1 : threads, [&](size_t s, bool, const std::atomic<bool>&) {
        thread_local std::vector<double> U;
        U.assign(M + s * size * size, M + (s + 1) * size * size);
        solved[s] = solve_one(U.data(), g + s * size, size, p + s * size);
    });
}

}  // namespace moestro
