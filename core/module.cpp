// Python's view: one immutable Problem over caller-owned arrays, and its sums.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>

#include "descent.hpp"
#include "newton.hpp"
#include "problem.hpp"

namespace nb = nanobind;
using namespace moestro;

using Matrix = nb::ndarray<nb::numpy, const double, nb::ndim<2>, nb::device::cpu>;
using Vector = nb::ndarray<nb::numpy, const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<nb::numpy, const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using OutVector = nb::ndarray<nb::numpy, double, nb::ndim<1>>;
using OutMatrix = nb::ndarray<nb::numpy, double, nb::ndim<2>>;
using OutCube = nb::ndarray<nb::numpy, double, nb::ndim<3>>;
using Integers = nb::ndarray<nb::numpy, const int, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WritableCube = nb::ndarray<nb::numpy, double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::numpy, const double, nb::device::cpu>;
using GivenTerms = std::tuple<std::optional<Any>, std::optional<Any>, std::optional<Any>, std::optional<Any>>;
using Cube = nb::ndarray<nb::numpy, const double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

namespace {

template <class Array>
Array give(std::vector<double>&& values, std::vector<size_t> shape) {
    auto* kept = new std::vector<double>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<double>*>(p); });
    return Array(kept->data(), shape.size(), shape.data(), owner);
}

unsigned long main_thread = 0;

// Signals reach the main thread alone: no other one waits for the interpreter here.
bool python_interrupt() {
    if (PyThread_get_thread_ident() != main_thread) return false;
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

// What `work` returns, without the interpreter's lock; an interrupt leaves as the exception that Python set.
template <class Work>
auto unlocked(const Work& work) {
    try {
        nb::gil_scoped_release release;
        return work();
    } catch (const std::runtime_error&) {
        if (PyErr_Occurred()) throw nb::python_error();
        throw;
    }
}

using Offsets = nb::ndarray<nb::numpy, const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

struct PyProblem {
    Problem problem;
    Offsets offsets;
    Matrix x, z;
    Vector y, w, known, x_center, x_inv_scale, z_center, z_inv_scale;  // kept alive

    static Design design(const Matrix& a, const Vector& center, const Vector& inv_scale) {
        if (center.size() != a.shape(1) || inv_scale.size() != a.shape(1))
            throw std::invalid_argument("center and inv_scale need one entry a column");
        return {a.data(), a.stride(0), a.stride(1), int(a.shape(1)), center.data(), inv_scale.data()};
    }

    PyProblem(Matrix x_, Vector x_center_, Vector x_inv_scale_, std::optional<Matrix> z_, Vector z_center_,
              Vector z_inv_scale_, Vector y_, std::optional<Vector> w_, double y_center, double y_scale,
              int family, int k, int m, int nu, int top_k, bool rank_logit, double tau,
              std::optional<Offsets> offsets_, std::optional<Vector> known_)
        : x(x_), y(y_), x_center(x_center_), x_inv_scale(x_inv_scale_), z_center(z_center_),
          z_inv_scale(z_inv_scale_) {
        problem.n = int64_t(x.shape(0));
        problem.x = design(x, x_center, x_inv_scale);
        problem.shared = !z_;
        if (z_) {
            z = *z_;
            problem.z = design(z, z_center, z_inv_scale);
            if (z.shape(0) != x.shape(0)) throw std::invalid_argument("x and z differ in rows");
        }
        if (y.size() != x.shape(0)) throw std::invalid_argument("x and y differ in rows");
        problem.y = y.data();
        if (offsets_) {
            offsets = *offsets_;
            const int64_t *begin = offsets.data(), *end = begin + offsets.size();
            if (offsets.size() < 2 || *begin != 0 || end[-1] != problem.n ||
                std::adjacent_find(begin, end, std::greater_equal<>()) != end)
                throw std::invalid_argument("offsets must rise from 0 to the number of rows");
            problem.offsets = begin;
            problem.groups = int64_t(offsets.size()) - 1;
        }
        if (w_) {
            w = *w_;
            if (int64_t(w.size()) != problem.units())
                throw std::invalid_argument("w needs one entry a row, or a group");
            problem.w = w.data();
        }
        if (known_) {
            known = *known_;
            if (int64_t(known.size()) != problem.n)
                throw std::invalid_argument("known needs one entry a row");
            problem.known = known.data();
        }
        problem.y_center = y_center;
        problem.y_inv_scale = 1.0 / y_scale;
        if (family < 0 || family > 3 || k < 1 || m < 1)
            throw std::invalid_argument("unknown family, k < 1 or m < 1");
        if (family < 3 && nu != (family == 1))
            throw std::invalid_argument("this family has another number of nuisances");
        if (nu < 0) throw std::invalid_argument("nu < 0");
        problem.family = Family(family);
        problem.k = k;
        problem.m = m;
        problem.nu = nu;
        problem.top_k = top_k;
        problem.rank_logit = rank_logit;
        problem.tau = tau;
        if (problem.family == Family::gaussian && m != 1)
            throw std::invalid_argument("this family has one linear predictor");
    }

    Sums run(const Vector& theta, Request request, const std::string& isa, int threads) const {
        if (int(theta.size()) != problem.parameters())
            throw std::invalid_argument("theta has " + std::to_string(theta.size()) + " entries, expected " +
                                        std::to_string(problem.parameters()));
        request.theta = theta.data();
        if ((problem.family == Family::outside) != (request.terms != nullptr))
            throw std::invalid_argument("a family from outside needs its terms, and only such a one");
        const Isa& path = choose_isa(isa.c_str());
        return unlocked([&] { return evaluate(problem, request, path, threads, &python_interrupt); });
    }

    // (density, score, information, curvature), as far as the order asks for them.
    std::optional<Terms> terms_of(const std::optional<GivenTerms>& given, int order) const {
        if (!given) return std::nullopt;
        const auto& [density, score, information, curvature] = *given;
        const size_t mm = size_t(problem.m + problem.nu);
        Terms terms;
        read(terms.density, density, {});
        if (order >= 1) read(terms.score, score, {mm});
        if (order >= 2) read(terms.information, information, {mm, mm});
        if (order >= 3) read(terms.curvature, curvature, {mm, mm});
        return terms;
    }

    void read(Given& out, const std::optional<Any>& a, std::vector<size_t> tail) const {
        std::vector<size_t> shape{size_t(problem.n), size_t(problem.k)};
        shape.insert(shape.end(), tail.begin(), tail.end());
        bool good = a && a->ndim() == shape.size();
        for (size_t i = 0; good && i < shape.size(); ++i) good = a->shape(i) == shape[i];
        if (!good)
            throw std::invalid_argument("terms must be (n, k), (n, k, m), (n, k, m, m) and (n, k, m, m)");
        out.data = a->data();
        for (size_t i = 0; i < shape.size(); ++i) out.strides[i] = a->stride(i);
    }

    nb::tuple sums(Vector theta, int order, int threads, const std::string& isa,
                   std::optional<Rows> responsibilities, std::optional<GivenTerms> given) const {
        Request request;
        request.order = order;
        const auto terms = terms_of(given, order);
        if (terms) request.terms = &*terms;
        if (responsibilities) {
            if (int64_t(responsibilities->shape(0)) != problem.units() ||
                int(responsibilities->shape(1)) != problem.k)
                throw std::invalid_argument("responsibilities must be (units, k)");
            request.responsibilities = responsibilities->data();
        }
        Sums s = run(theta, request, isa, threads);
        const size_t P = size_t(problem.parameters()), k = size_t(problem.k);
        nb::object none = nb::none();
        return nb::make_tuple(
            s.value, give<OutVector>(std::move(s.mass), {k}),
            order >= 1 ? nb::cast(give<OutVector>(std::move(s.gradient), {P})) : none,
            order >= 2 ? nb::cast(give<OutMatrix>(std::move(s.information), {P, P})) : none,
            order >= 3 ? nb::cast(give<OutMatrix>(std::move(s.curvature), {P, P})) : none);
    }

    // Sums at several thetas (S, P), one thread a theta: the same bits as one after the other.
    nb::tuple sums_of(Rows thetas, int order, int threads, const std::string& isa,
                      std::optional<Cube> responsibilities,
                      std::optional<std::vector<GivenTerms>> given) const {
        const size_t S = thetas.shape(0), P = size_t(problem.parameters()), k = size_t(problem.k);
        std::vector<Terms> terms;
        if (given)
            for (const GivenTerms& one : *given) terms.push_back(*terms_of(one, order));
        if (terms.size() != (problem.family == Family::outside ? S : 0))
            throw std::invalid_argument(
                "a family from outside needs its terms at every theta, and only such a one");
        if (thetas.shape(1) != P)
            throw std::invalid_argument("thetas must be (S, " + std::to_string(P) + ")");
        if (responsibilities &&
            (responsibilities->shape(0) != S || int64_t(responsibilities->shape(1)) != problem.units() ||
             responsibilities->shape(2) != k))
            throw std::invalid_argument("responsibilities must be (S, units, k)");
        const double* r = responsibilities ? responsibilities->data() : nullptr;
        const Isa& path = choose_isa(isa.c_str());
        Stacked out = unlocked([&] {
            return evaluate_all(problem, thetas.data(), S, order, r, terms, path, threads, &python_interrupt);
        });
        nb::object none = nb::none();
        return nb::make_tuple(
            give<OutVector>(std::move(out.value), {S}), give<OutMatrix>(std::move(out.mass), {S, k}),
            order >= 1 ? nb::cast(give<OutMatrix>(std::move(out.gradient), {S, P})) : none,
            order >= 2 ? nb::cast(give<OutCube>(std::move(out.information), {S, P, P})) : none,
            order >= 3 ? nb::cast(give<OutCube>(std::move(out.curvature), {S, P, P})) : none);
    }

    // Newton's method from several points (S, size), each whole on one thread.
    nb::tuple newton(Rows points, Integers owner, Vector lower, Vector upper, const Region& region,
                     int threads, const std::string& isa) const {
        const size_t S = points.shape(0), size = points.shape(1), k = size_t(problem.k);
        if (problem.family == Family::outside)
            throw std::invalid_argument("a family from outside is not evaluated in here");
        if (owner.shape(0) != size_t(problem.parameters()) || lower.shape(0) != size ||
            upper.shape(0) != size)
            throw std::invalid_argument(
                "owner needs one entry a parameter, lower and upper one a column of the points");
        for (size_t i = 0; i < owner.shape(0); ++i)
            if (owner.data()[i] >= int(size))
                throw std::invalid_argument("an owner is not a column of the points");
        const Space space{int(size), owner.data(), lower.data(), upper.data()};
        const Isa& path = choose_isa(isa.c_str());
        NewtonEnds out = unlocked([&] {
            return newton_all(problem, space, region, points.data(), S, path, threads, &python_interrupt);
        });
        return nb::make_tuple(
            give<OutMatrix>(std::move(out.phi), {S, size}), give<OutVector>(std::move(out.value), {S}),
            give<OutMatrix>(std::move(out.mass), {S, k}), give<OutVector>(std::move(out.iterations), {S}),
            give<OutVector>(std::move(out.converged), {S}));
    }

    // Linear predictors at theta, into out (k, m + nu, n).
    void predictors(Vector theta, WritableCube out, const std::string& isa) const {
        if (int(theta.size()) != problem.parameters() || out.shape(0) != size_t(problem.k) ||
            out.shape(1) != size_t(problem.m + problem.nu) || int64_t(out.shape(2)) != problem.n)
            throw std::invalid_argument("predictors of this problem are (k, m + nu, n)");
        const Isa& path = choose_isa(isa.c_str());
        nb::gil_scoped_release release;
        thread_local Workspace ws;
        path.predictors(problem, theta.data(), 0, problem.n, ws, out.data());
    }

    nb::tuple rowwise(Vector theta, bool scores, int threads, const std::string& isa,
                      std::optional<GivenTerms> given) const {
        const size_t n = size_t(problem.n), units = size_t(problem.units()), k = size_t(problem.k);
        const size_t T = size_t(problem.scores());
        std::vector<double> density(units), resp(units * k), score(scores ? n * T : 0);
        Request request;
        request.order = scores ? 1 : 0;
        const auto terms = terms_of(given, request.order);
        if (terms) request.terms = &*terms;
        request.row_log_density = density.data();
        request.row_responsibilities = resp.data();
        request.row_scores = scores ? score.data() : nullptr;
        run(theta, request, isa, threads);
        nb::object none = nb::none();
        return nb::make_tuple(give<OutVector>(std::move(density), {units}),
                              give<OutMatrix>(std::move(resp), {units, k}),
                              scores ? nb::cast(give<OutMatrix>(std::move(score), {n, T})) : none);
    }
};

nb::tuple mixture(Rows rows, std::optional<Vector> w, Rows theta, int threads, const std::string& isa) {
    Mixture mx;
    mx.n = int64_t(rows.shape(0));
    mx.columns = int(rows.shape(1));
    mx.k = int(theta.shape(0));
    mx.rows = rows.data();
    mx.theta = theta.data();
    if (w) {
        if (w->size() != rows.shape(0)) throw std::invalid_argument("rows and w differ in length");
        mx.w = w->data();
    }
    if (mx.n < 1 || mx.k < 1 || int(theta.shape(1)) != mx.monomials())
        throw std::invalid_argument("theta must be (k, " + std::to_string(mx.monomials()) +
                                    "), and rows must not be empty");
    const Isa& path = choose_isa(isa.c_str());
    MixturePart part;
    {
        nb::gil_scoped_release release;
        part = mixture_sums(mx, path, threads);
    }
    return nb::make_tuple(part.value,
                          give<OutMatrix>(std::move(part.first), {size_t(mx.k), size_t(mx.monomials())}));
}

// p = M^-1 g for each of S symmetric matrices M (S, P, P); where M is not positive definite p is zero and
// `solved` false.
nb::tuple solve_positive(Cube M, Rows g, int threads) {
    const size_t S = M.shape(0), P = M.shape(1);
    if (M.shape(2) != P || g.shape(0) != S || g.shape(1) != P)
        throw std::invalid_argument("M must be (S, P, P) and g (S, P)");
    std::vector<double> p(S * P), solved(S);
    {
        nb::gil_scoped_release release;
        solve_all(M.data(), g.data(), S, P, threads, p.data(), solved.data());
    }
    return nb::make_tuple(give<OutMatrix>(std::move(p), {S, P}), give<OutVector>(std::move(solved), {S}));
}

nb::tuple penalised_quadratic(Rows M, Vector g, Vector start, Vector l1, Integers group, Vector weight,
                              Vector lower, Vector upper, double tol, int max_sweeps) {
    const size_t size = g.shape(0);
    if (M.shape(0) != size || M.shape(1) != size || start.shape(0) != size || l1.shape(0) != size ||
        group.shape(0) != size || lower.shape(0) != size || upper.shape(0) != size)
        throw std::invalid_argument("every argument must have the size of g");
    for (size_t j = 0; j < size; ++j) {
        if (group.data()[j] >= int(weight.shape(0))) throw std::invalid_argument("a group has no weight");
        if (!(M.data()[j * size + j] > 0.0))
            throw std::invalid_argument("the diagonal of M must be positive");
    }
    std::vector<double> x(start.data(), start.data() + size);
    int sweeps;
    {
        nb::gil_scoped_release release;
        const Quadratic q{int(size),     M.data(),     g.data(),
                          l1.data(),     group.data(), int(weight.shape(0)),
                          weight.data(), lower.data(), upper.data()};
        sweeps = descend(q, x.data(), tol, max_sweeps);
    }
    return nb::make_tuple(give<OutVector>(std::move(x), {size}), sweeps);
}

}  // namespace

NB_MODULE(_core, module) {
    main_thread =
        nb::cast<unsigned long>(nb::module_::import_("threading").attr("main_thread")().attr("ident"));
    module.doc() = "Compiled sums over rows for moestro's native engine.";
    nb::class_<Region>(module, "Region")
        .def(
            "__init__",
            [](Region* self, double start, double least, double floor, double stuck, double enough,
               double good, double poor, double shrink, double raise, double growth, double ridge,
               double roundoff, double rounding, double offset, double weight_sum, double tol, int limit) {
                new (self) Region{start,  least, floor,    stuck,    enough, good,       poor, shrink, raise,
                                  growth, ridge, roundoff, rounding, offset, weight_sum, tol,  limit};
            },
            nb::kw_only(), nb::arg("start"), nb::arg("least"), nb::arg("floor"), nb::arg("stuck"),
            nb::arg("enough"), nb::arg("good"), nb::arg("poor"), nb::arg("shrink"), nb::arg("raise_"),
            nb::arg("growth"), nb::arg("ridge"), nb::arg("roundoff"), nb::arg("rounding"), nb::arg("offset"),
            nb::arg("weight_sum"), nb::arg("tol"), nb::arg("limit"));
    nb::class_<PyProblem>(module, "Problem")
        .def(nb::init<Matrix, Vector, Vector, std::optional<Matrix>, Vector, Vector, Vector,
                      std::optional<Vector>, double, double, int, int, int, int, int, bool, double,
                      std::optional<Offsets>, std::optional<Vector>>(),
             nb::arg("x"), nb::arg("x_center"), nb::arg("x_inv_scale"), nb::arg("z").none(),
             nb::arg("z_center"), nb::arg("z_inv_scale"), nb::arg("y"), nb::arg("w").none(),
             nb::arg("y_center"), nb::arg("y_scale"), nb::arg("family"), nb::arg("k"), nb::arg("m"),
             nb::arg("nu"), nb::arg("top_k"), nb::arg("rank_logit"), nb::arg("tau"),
             nb::arg("offsets").none(), nb::arg("known").none())
        .def("sums", &PyProblem::sums, nb::arg("theta"), nb::arg("order"), nb::arg("threads"), nb::arg("isa"),
             nb::arg("responsibilities").none() = nb::none(), nb::arg("terms").none() = nb::none())
        .def("predictors", &PyProblem::predictors, nb::arg("theta"), nb::arg("out"), nb::arg("isa"))
        .def("sums_of", &PyProblem::sums_of, nb::arg("thetas"), nb::arg("order"), nb::arg("threads"),
             nb::arg("isa"), nb::arg("responsibilities").none() = nb::none(),
             nb::arg("terms").none() = nb::none())
        .def("newton", &PyProblem::newton, nb::arg("points"), nb::arg("owner"), nb::arg("lower"),
             nb::arg("upper"), nb::arg("region"), nb::arg("threads"), nb::arg("isa"))
        .def("rowwise", &PyProblem::rowwise, nb::arg("theta"), nb::arg("scores"), nb::arg("threads"),
             nb::arg("isa"), nb::arg("terms").none() = nb::none());
    module.def("mixture_sums", &mixture, nb::arg("rows"), nb::arg("w").none(), nb::arg("theta"),
               nb::arg("threads"), nb::arg("isa"));
    module.def("solve_positive", &solve_positive, nb::arg("M"), nb::arg("g"), nb::arg("threads"));
    module.def("penalised_quadratic", &penalised_quadratic, nb::arg("M"), nb::arg("g"), nb::arg("start"),
               nb::arg("l1"), nb::arg("group"), nb::arg("weight"), nb::arg("lower"), nb::arg("upper"),
               nb::arg("tol"), nb::arg("max_sweeps"));
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const char* name : available_isas()) names.emplace_back(name);
        return names;
    });
    module.def("fma_per_second", [](const std::string& isa, double seconds) {
        return choose_isa(isa.c_str()).fma_per_second(seconds);
    }, nb::call_guard<nb::gil_scoped_release>());
    module.def("exp_per_second", [](const std::string& isa, double seconds) {
        return choose_isa(isa.c_str()).exp_per_second(seconds);
    }, nb::call_guard<nb::gil_scoped_release>());
}
