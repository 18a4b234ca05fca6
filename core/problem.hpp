// Plain descriptions shared by every instruction-set path. No Python here.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace moestro {

constexpr int kBlock = 192;  // rows handled at once; no power of two, so that features spread over cache sets
constexpr int kStrip = 12;    // feature products formed at once: they stay in the first-level cache

enum class Family {
    multinomial = 0,
    gaussian = 1,
    poisson = 2,
    outside = 3
};  // outside: its terms come with a request

// Numbers of the rows as the caller holds them: element (row, expert, c, d) at data + row * strides[0] + ...,
// in doubles.
struct Given {
    const double* data = nullptr;
    int64_t strides[4] = {0, 0, 0, 0};
};

// log-densities (n, k), and their scores (n, k, m), EM information and curvatures (n, k, m, m) in an expert's
// m logits.
struct Terms {
    Given density, score, information, curvature;
};

// A design matrix as the caller holds it; standardised on the fly: (x - center) * inv_scale.
struct Design {
    const double* data = nullptr;
    int64_t row_stride = 0, col_stride = 0;  // in doubles
    int columns = 0;
    const double* center = nullptr;
    const double* inv_scale = nullptr;
};

struct Problem {
    int64_t n = 0;
    Design x, z;
    bool shared = false;  // gate and experts read the same columns
    const double* y = nullptr;
    const double* w = nullptr;  // of the units; null: every weight is one
    const double* known = nullptr;  // added to the linear predictors of every row; null: nothing is
    const int64_t* offsets =
        nullptr;  // of the first row of each group, and n; null: every row is a unit of its own
    int64_t groups = 0;
    double y_center = 0, y_inv_scale = 1;
    Family family = Family::gaussian;
    int k = 1;  // experts
    int m = 1;  // linear predictors of an expert
    int nu = 0;  // nuisance parameters of an expert: logits with a constant feature, after its predictors
    int top_k = 0;            // experts that the gate selects at a row; 0: all
    bool rank_logit = false;  // ranked by the whole logit; else by the logit less its intercept
    double tau = 0;           // width of the gate's boundaries, in units of the rank; 0: they are sharp

    bool grouped() const { return offsets != nullptr; }
    int64_t units() const { return grouped() ? groups : n; }
    int p() const { return x.columns + 1; }
    int q() const { return (shared ? x.columns : z.columns) + 1; }
    bool sparse() const { return top_k > 0 && top_k < k; }
    bool soft() const { return sparse() && tau > 0; }
    // Slopes and intercepts are logits of their own where the weights see them in different ways.
    int gate_parts() const { return soft() && !rank_logit ? 2 : 1; }
    int gate_logits() const { return gate_parts() * (k - 1); }
    int logits() const { return gate_logits() + k * (m + nu); }
    int scores() const { return k - 1 + k * (m + nu); }  // of a row, as the caller gets them
    int gate_size() const { return (k - 1) * q(); }
    int of_expert() const { return m * p() + nu; }  // parameters
    int parameters() const { return gate_size() + k * m * p() + k * nu; }
};

// Logits that share their features: (gate | expert means | log-variances), or gate and experts as one.
struct Group {
    int features = 0;
    bool ones = false;  // the only feature is one
    std::vector<int> logits;
};

// All weighted Gram blocks between two groups: result[slot][product] += weight[slot] . product.
struct Job {
    int a = 0, b = 0;
    bool symmetric = false;
    int first_slot = 0, slots = 0, products = 0;
    size_t offset = 0;  // into the accumulator
};

enum class Target { curvature = 0, information = 1 };

struct Slot {
    int logit_a = 0, logit_b = 0;
    Target target = Target::curvature;
};

// How the derivatives of a row's logits spread over parameters. Depends on shapes only.
struct Plan {
    std::vector<Group> groups;
    std::vector<int> group_of, place_of, first_parameter;  // one entry a logit
    std::vector<Job> jobs;
    std::vector<Slot> slots;
    std::vector<int> curvature_slot, information_slot;  // (logits x logits), -1 where absent
    size_t gram_size = 0;
    Plan(const Problem& problem, int order);
};

// What to compute. order 0: value; 1: + gradient; 2: + complete-data information; 3: + curvature.
struct Request {
    int order = 0;
    const double* theta = nullptr;
    const double* responsibilities = nullptr;  // (units, k) row-major; null: computed
    const Terms* terms = nullptr;              // of a family from outside
    double* row_log_density = nullptr;         // (units,)
    double* row_responsibilities = nullptr;    // (units, k)
    double* row_scores = nullptr;              // (n, scores); a group's gate scores stand at its first row
};

struct Partial {
    double value = 0;
    std::vector<double> mass, gradient, gram;
    std::vector<double> missing;  // of groups, see groups.hpp
};

// Adds units [first, last) to the partial sums. `workspace` is reused between calls of a thread.
struct Workspace {
    std::unique_ptr<double[]> memory;
    size_t size = 0;
    double* take(size_t doubles);
};
using RangePass = void (*)(const Problem&, const Plan&, const Request&, int64_t first, int64_t last,
                           Workspace&, Partial&, bool (*tick)(void*), void* tick_state);

// Rows of a mixture of densities that are log-linear in monomials of degree two: see mixture.hpp.
struct Mixture {
    int64_t n = 0;
    int columns = 0, k = 1;
    const double* rows = nullptr;   // (n, columns) row-major
    const double* w = nullptr;      // (n,) or null
    const double* theta = nullptr;  // (k, monomials)
    int monomials() const { return 1 + columns + columns * (columns + 1) / 2; }
};

struct MixturePart {
    double value = 0;
    std::vector<double> first;  // sum w r phi, (k, monomials)
};
using MixturePass = void (*)(const Mixture&, int64_t first, int64_t last, Workspace&, MixturePart&);

// Linear predictors of rows [first, last): out (k, m + nu, n), nuisances left out.
using PredictorPass = void (*)(const Problem&, const double* theta, int64_t first, int64_t last, Workspace&,
                               double* out);

struct Isa {
    const char* name;
    RangePass pass;
    PredictorPass predictors;
    MixturePass mixture;
    double (*fma_per_second)(double seconds);
    double (*exp_per_second)(double seconds);
};

const Isa& choose_isa(const char* name);  // null: the best one here; throws for an unknown or missing one
std::vector<const char*> available_isas();

struct Sums {
    double value = 0;
    std::vector<double> mass, gradient, information, curvature;  // the last two P x P, full
};
Sums evaluate(const Problem&, const Request&, const Isa&, int threads, bool (*interrupted)());
// The same with the plan of the request's order, for small problems that are summed often.
Sums evaluate(const Problem&, const Plan&, const Request&, const Isa&, int threads, bool (*interrupted)());

// The same at several thetas (count, P), side by side: arrays stacked, zero-sized where the order does not
// ask for them.
struct Stacked {
    std::vector<double> value, mass, gradient, information, curvature;
};
Stacked evaluate_all(const Problem&, const double* thetas, size_t count, int order,
                     const double* responsibilities, const std::vector<Terms>& terms, const Isa&, int threads,
                     bool (*interrupted)());  // terms: none, or of each theta
void solve_all(const double* M, const double* g, size_t count, size_t size, int threads, double* p,
               double* solved);
// x = M^-1 g, overwriting M (size, size); false, and x = 0, where M is not positive definite.
bool solve_one(double* M, const double* g, size_t size, double* x);
// work(i, main, stop) for every i below count, on up to `threads` threads; each i is done whole by one of
// them. What a work throws sets `stop`, which a long one looks at, and leaves from the caller's thread.
void each(size_t count, int threads, const std::function<void(size_t, bool, const std::atomic<bool>&)>& work);

MixturePart mixture_sums(const Mixture&, const Isa&, int threads);

}  // namespace moestro
