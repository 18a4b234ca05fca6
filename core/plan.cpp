#include "problem.hpp"

#include <numeric>

namespace moestro {

Plan::Plan(const Problem& pr, int order) {
    const int T = pr.logits(), g = pr.gate_logits(), m = pr.m, nu = pr.nu;
    group_of.assign(T, 0);
    place_of.assign(T, 0);
    first_parameter.assign(T, 0);

    const bool parted = pr.gate_parts() == 2;
    Group gate{parted ? pr.q() - 1 : pr.q(), !parted && pr.q() == 1, {}}, intercepts{1, true, {}};
    Group experts{pr.p(), pr.p() == 1, {}}, constant{1, true, {}};
    const int expert_start = pr.gate_size(), nuisance_start = expert_start + pr.k * m * pr.p();
    for (int a = 0; a < pr.k - 1; ++a) {
        gate.logits.push_back(a);
        first_parameter[a] = a * pr.q() + (parted ? 1 : 0);
        if (!parted) continue;
        intercepts.logits.push_back(pr.k - 1 + a);
        first_parameter[pr.k - 1 + a] = a * pr.q();
    }
    for (int e = 0; e < pr.k; ++e) {
        for (int c = 0; c < m; ++c) {
            const int t = g + e * (m + nu) + c;
            experts.logits.push_back(t);
            first_parameter[t] = expert_start + (e * m + c) * pr.p();
        }
        for (int i = 0; i < nu; ++i) {
            const int t = g + e * (m + nu) + m + i;
            constant.logits.push_back(t);
            first_parameter[t] = nuisance_start + e * nu + i;
        }
    }
    if (pr.shared && !pr.grouped() && !parted) {
        gate.logits.insert(gate.logits.end(), experts.logits.begin(), experts.logits.end());
        groups.push_back(gate);
    } else {
        if (g) groups.push_back(gate);
        if (parted) groups.push_back(intercepts);
        groups.push_back(experts);
    }
    if (nu) groups.push_back(constant);
    for (size_t i = 0; i < groups.size(); ++i)
        for (size_t j = 0; j < groups[i].logits.size(); ++j) {
            group_of[groups[i].logits[j]] = int(i);
            place_of[groups[i].logits[j]] = int(j);
        }
    if (order < 2) return;

    const auto is_gate = [&](int t) { return t < g; };
    const auto expert = [&](int t) { return (t - g) / (m + nu); };
    const auto has_information = [&](int s, int t) {
        if (is_gate(s) != is_gate(t)) return false;
        if (is_gate(s)) return true;
        if (expert(s) != expert(t)) return false;
        return group_of[s] == group_of[t];  // EM takes predictors and nuisances one after the other
    };
    // Of groups, all that ties logits of different rows is summed apart (groups.hpp).
    const auto has_curvature = [&](int s, int t) {
        return is_gate(s) ? is_gate(t) : !is_gate(t) && expert(s) == expert(t);
    };
    curvature_slot.assign(size_t(T) * T, -1);
    information_slot.assign(size_t(T) * T, -1);
    for (int i = 0; i < int(groups.size()); ++i)
        for (int j = i; j < int(groups.size()); ++j) {
            Job job;
            job.a = i;
            job.b = j;
            job.symmetric = i == j;
            job.first_slot = int(slots.size());
            const int fa = groups[i].features, fb = groups[j].features;
            job.products = job.symmetric ? fa * (fa + 1) / 2 : fa * fb;
            for (int pass = 0; pass < 2; ++pass)
                for (int s : groups[i].logits)
                    for (int t : groups[j].logits) {
                        if (job.symmetric && place_of[s] > place_of[t]) continue;
                        if (pass == 0 && !has_information(s, t)) continue;
                        if (pass == 1 && order < 3) continue;
                        if (pass == 1 && pr.grouped() && !has_curvature(s, t)) continue;
                        auto& table = pass == 0 ? information_slot : curvature_slot;
                        table[size_t(s) * T + t] = table[size_t(t) * T + s] = int(slots.size());
                        slots.push_back({s, t, pass == 0 ? Target::information : Target::curvature});
                    }
            job.slots = int(slots.size()) - job.first_slot;
            if (!job.slots) continue;
            job.offset = gram_size;
            gram_size += size_t(job.slots) * job.products;
            jobs.push_back(job);
        }
}

}  // namespace moestro
