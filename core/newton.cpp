// A step solves (lam D - H) p = g, D the complete-data information and H the Hessian; lam follows the
// agreement of gain and prediction. The readable twin is src/moestro/solvers/together.py.
#include "newton.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>

namespace moestro {
namespace {

struct Point {
    double value = 0;
    std::vector<double> mass, g, D, H;
};

class Run {
public:
  Run(const Problem& problem, const Space& space, const Region& region, const Isa& isa, bool (*interrupted)())
      : pr(problem), sp(space), rg(region), isa(isa), interrupted(interrupted), of_value(problem, 0),
        of_all(problem, 3), theta(size_t(problem.parameters())),
        identity(size_t(space.size) == theta.size()) {}

  // Climbs from phi (in place) until the gradient vanishes, no step is left, or the limit. Returns the steps
  // tried.
  int climb(double* phi, Point& at, bool& converged, const std::atomic<bool>& stop) {
      const int P = sp.size;
      at.value = look(phi, 3, at);
      converged = false;
      if (!std::isfinite(at.value)) return 0;
      std::vector<double> p(P), trial(P), M(size_t(P) * P), g(P);
      Point next;
      double lam = rg.start;
      bool refused = false, doubtful = false;
      for (int step = 0; step < rg.limit; ++step) {
          if (inward(phi, at.g, g) / rg.weight_sum <= rg.tol) {
              converged = true;
              return step;
          }
          if (lam >= rg.stuck) return step;
          if (stop.load(std::memory_order_relaxed)) throw std::runtime_error("interrupted");
          const double predicted = propose(phi, at, lam, g, M, p, trial);
          if (!(predicted > 0)) {
              lam = std::max(lam * rg.growth, rg.floor);
              continue;
          }
          const bool small = predicted <= rg.rounding * (1.0 + std::abs(at.value));
          const auto better = [&](double value) {
              const double gain = value - at.value;
              return std::isfinite(value) && (gain / predicted > rg.enough || (small && gain >= 0));
          };
          // Damping that was too small for the last step is soon too small again: the value alone is cheap.
          bool good = !doubtful || better(look(trial.data(), 0, next));
          double value = 0;
          if (good) {
              value = look(trial.data(), 3, next);
              good = better(value) &&
                     std::all_of(next.g.begin(), next.g.end(), [](double v) { return std::isfinite(v); });
          }
          if (good) {
              const double ratio = (value - at.value) / predicted;
              lam = std::max(ratio > rg.good   ? lam / rg.shrink
                             : ratio > rg.poor ? lam
                                               : lam * rg.raise,
                             rg.least);
              std::copy(trial.begin(), trial.end(), phi);
              next.value = value;
              std::swap(at, next);
          } else {
              lam = small ? rg.stuck : std::max(lam * rg.growth, rg.floor);
          }
          doubtful = refused || !good;
          refused = !good;
      }
      return rg.limit;
  }

private:
    const Problem& pr;
    const Space& sp;
    const Region& rg;
    const Isa& isa;
    bool (*interrupted)();
    const Plan of_value, of_all;
    std::vector<double> theta;
    bool identity;

    double look(const double* phi, int order, Point& out) {
        for (size_t i = 0; i < theta.size(); ++i) theta[i] = sp.owner[i] >= 0 ? phi[sp.owner[i]] : 0.0;
        Request rq;
        rq.order = order;
        rq.theta = theta.data();
        Sums s = evaluate(pr, order ? of_all : of_value, rq, isa, 1, interrupted);
        if (order < 3) return s.value + rg.offset;
        out.mass = std::move(s.mass);
        if (identity) {
            out.g = std::move(s.gradient);
            out.D = std::move(s.information);
            out.H = std::move(s.curvature);
        } else {
            out.g.assign(sp.size, 0.0);
            for (size_t i = 0; i < theta.size(); ++i)
                if (sp.owner[i] >= 0) out.g[sp.owner[i]] += s.gradient[i];
            restrict(s.information, out.D);
            restrict(s.curvature, out.H);
        }
        return s.value + rg.offset;
    }

    // A' M A of the map theta = A phi.
    void restrict(const std::vector<double>& M, std::vector<double>& out) const {
        const size_t P = size_t(sp.size), Q = theta.size();
        out.assign(P * P, 0.0);
        for (size_t i = 0; i < Q; ++i)
            if (sp.owner[i] >= 0)
                for (size_t j = 0; j < Q; ++j)
                    if (sp.owner[j] >= 0) out[sp.owner[i] * P + sp.owner[j]] += M[i * Q + j];
    }

    // g where the coordinate can move uphill inside the box, else zero; returns its largest size, NaN where
    // one is.
    double inward(const double* phi, const std::vector<double>& gradient, std::vector<double>& g) const {
        double norm = 0.0;
        for (int i = 0; i < sp.size; ++i) {
            const bool held =
                (phi[i] <= sp.lower[i] && gradient[i] < 0) || (phi[i] >= sp.upper[i] && gradient[i] > 0);
            g[i] = held ? 0.0 : gradient[i];
            if (std::abs(g[i]) > norm || std::isnan(g[i])) norm = std::abs(g[i]);
        }
        return norm;
    }

    // trial = phi + p inside the box, and the gain that the quadratic model predicts; 0 where it has no
    // maximum.
    double propose(const double* phi, const Point& at, double lam, const std::vector<double>& g,
                   std::vector<double>& M, std::vector<double>& p, std::vector<double>& trial) const {
        const size_t P = size_t(sp.size);
        for (size_t i = 0; i < P * P; ++i) M[i] = lam * at.D[i] - at.H[i];
        for (size_t i = 0; i < P; ++i) {
            M[i * P + i] += lam * (rg.ridge * rg.weight_sum + rg.roundoff * at.D[i * P + i]);
            if (g[i] == 0.0 && at.g[i] != 0.0) {  // held by the box
                for (size_t j = 0; j < P; ++j) M[i * P + j] = M[j * P + i] = 0.0;
                M[i * P + i] = 1.0;
            }
        }
        if (!solve_one(M.data(), g.data(), P, p.data())) return 0.0;
        for (size_t i = 0; i < P; ++i) {
            trial[i] = std::min(std::max(phi[i] + p[i], sp.lower[i]), sp.upper[i]);
            p[i] = trial[i] - phi[i];
        }
        double predicted = 0.0;
        for (size_t i = 0; i < P; ++i) {
            double bent = 0.0;
            for (size_t j = 0; j < P; ++j) bent += at.H[i * P + j] * p[j];
            predicted += p[i] * (at.g[i] + 0.5 * bent);
        }
        return predicted;
    }
};

}  // namespace

NewtonEnds newton_all(const Problem& pr, const Space& space, const Region& region, const double* phi,
                      size_t count, const Isa& isa, int threads, bool (*interrupted)()) {
    const size_t P = size_t(space.size), k = size_t(pr.k);
    NewtonEnds out;
    out.phi.assign(phi, phi + count * P);
    out.value.resize(count);
    out.mass.resize(count * k);
    out.iterations.resize(count);
    out.converged.resize(count);
    each(count, threads, [&](size_t s, bool main, const std::atomic<bool>& stop) {
        Point at;
        bool converged;
        Run run(pr, space, region, isa, main ? interrupted : nullptr);
        out.iterations[s] = run.climb(out.phi.data() + s * P, at, converged, stop);
        out.value[s] = at.value;
        out.converged[s] = converged;
        std::copy(at.mass.begin(), at.mass.end(), out.mass.begin() + s * k);
    });
    return out;
}

}  // namespace moestro
