#include "descent.hpp"

#include <algorithm>
#include <cmath>

namespace moestro {
namespace {

double soft(double v, double t) { return v > t ? v - t : v < -t ? v + t : 0.0; }

struct Sweeper {
    const Quadratic& q;
    double* x;
    std::vector<double> gradient;  // g + M (x - x0)
    std::vector<std::vector<int>> members;
    std::vector<double> curvature;  // of each group: a bound of the largest eigenvalue of its block
    std::vector<double> trial;

    Sweeper(const Quadratic& q_, double* x_)
        : q(q_), x(x_), gradient(q_.g, q_.g + q_.size), members(q_.groups), curvature(q_.groups) {
        for (int j = 0; j < q.size; ++j)
            if (q.group[j] >= 0) members[q.group[j]].push_back(j);
        size_t largest = 0;
        for (int a = 0; a < q.groups; ++a) {
            double bound = 0.0;  // Gershgorin
            for (int i : members[a]) {
                double row = 0.0;
                for (int j : members[a]) row += std::abs(q.M[size_t(i) * q.size + j]);
                bound = std::max(bound, row);
            }
            curvature[a] = bound;
            largest = std::max(largest, members[a].size());
        }
        trial.resize(largest);
    }

    void move(int j, double to) {
        const double by = to - x[j];
        if (by == 0.0) return;
        x[j] = to;
        const double* row = q.M + size_t(j) * q.size;
        for (int i = 0; i < q.size; ++i) gradient[i] += by * row[i];
    }

    double single(int j) {
        const double h = q.M[size_t(j) * q.size + j];
        const double to = std::clamp(soft(h * x[j] - gradient[j], q.l1[j]) / h, q.lower[j], q.upper[j]);
        const double change = h * std::abs(to - x[j]);
        move(j, to);
        return change;
    }

    // A proximal gradient step of one group with its own Lipschitz constant.
    double block(int a) {
        const double h = curvature[a];
        const auto& own = members[a];
        double norm = 0.0;
        for (size_t i = 0; i < own.size(); ++i) {
            const int j = own[i];
            trial[i] = soft(h * x[j] - gradient[j], q.l1[j]);
            norm += trial[i] * trial[i];
        }
        norm = std::sqrt(norm);
        const double keep = norm > q.weight[a] ? (1.0 - q.weight[a] / norm) / h : 0.0;
        double change = 0.0;
        for (size_t i = 0; i < own.size(); ++i) {
            const double to = keep * trial[i];
            change = std::max(change, h * std::abs(to - x[own[i]]));
            move(own[i], to);
        }
        return change;
    }
};

}  // namespace

int descend(const Quadratic& q, double* x, double tol, int max_sweeps) {
    Sweeper s(q, x);
    for (int sweep = 1; sweep <= max_sweeps; ++sweep) {
        double change = 0.0;
        for (int j = 0; j < q.size; ++j)
            if (q.group[j] < 0) change = std::max(change, s.single(j));
        for (int a = 0; a < q.groups; ++a)
            if (!s.members[a].empty())
                for (int again = 0; again < 4; ++again) {
                    const double moved = s.block(a);
                    change = std::max(change, moved);
                    if (moved <= tol) break;
                }
        if (change <= tol) return sweep;
    }
    return max_sweeps;
}

}  // namespace moestro
