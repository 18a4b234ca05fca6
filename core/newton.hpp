// Newton's method of several fits, each done whole by one thread.
#pragma once
#include <vector>

#include "problem.hpp"

namespace moestro {

// theta_i = phi[owner_i], 0 where owner_i is -1; phi lies in the box [lower, upper].
struct Space {
    int size = 0;  // of phi
    const int* owner = nullptr;
    const double* lower = nullptr;
    const double* upper = nullptr;
};

// How the damping of the trust region begins, follows the agreement of gain and prediction, and ends; what
// rounding is.
struct Region {
    double start, least, floor,
        stuck;  // damping: first, smallest, smallest after a refusal, and where no step is left
    double enough, good, poor;              // share of the predicted gain
    double shrink, raise, growth;           // factors
    double ridge, roundoff, rounding;       // of the weight, of the diagonal, of the value
    double offset, weight_sum, tol;         // added to values; gradient per weight at which a run ends
    int limit;                              // steps tried
};

struct NewtonEnds {
    std::vector<double> phi, value, mass;  // (count, size), (count,), (count, k)
    std::vector<double> iterations, converged;
};

NewtonEnds newton_all(const Problem&, const Space&, const Region&, const double* phi, size_t count,
                      const Isa&, int threads, bool (*interrupted)());

}  // namespace moestro
