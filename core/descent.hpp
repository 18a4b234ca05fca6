// Coordinate descent on a penalised quadratic: the inner problem of proximal Newton.
#pragma once
#include <vector>

namespace moestro {

// Minimise  g'(x - x0) + (x - x0)' M (x - x0) / 2 + sum_j l1_j |x_j| + sum_g w_g ||x_g||  over lower <= x <=
// upper, from x = x0 (in place). M is symmetric positive definite, (size, size). group_j is -1 or the number
// of j's group; bounds hold for ungrouped coordinates. Returns the number of sweeps; stops when no
// coordinate's gradient would change by more than tol.
struct Quadratic {
    int size;
    const double* M;
    const double* g;
    const double* l1;
    const int* group;
    int groups;
    const double* weight;
    const double* lower;
    const double* upper;
};

int descend(const Quadratic& q, double* x, double tol, int max_sweeps);

}  // namespace moestro
