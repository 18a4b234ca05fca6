/* Evaluates a fitted mixture of experts from its few numbers, and moves a page's sliders. The formulas and
   their letters are those of moestro's gates/, experts/ and located/. */
(function (root) {
  "use strict";
  var LOG_2PI = 1.8378770664093454836;

  // Special functions

  function logGamma(x) { // Stirling's series, after a shift to where it has all its digits
    var shift = 0;
    while (x < 12) { shift -= Math.log(x); x += 1; }
    var r = 1 / (x * x);
    var series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - r * 691 / 360360))))) / x;
    return shift + (x - 0.5) * Math.log(x) - x + 0.5 * LOG_2PI + series;
  }

  function logSurvival(u) { // log P(Z > u) of a standard normal Z
    if (u < 3) {
      var term = u, sum = u, n = 1; // P(0 < Z < u) = phi(u) (u + u^3/3 + u^5/15 + ...)
      if (u > -8) {
        while (Math.abs(term) > 1e-17 * Math.abs(sum) && n < 999) { n += 2; term *= u * u / n; sum += term; }
        return Math.log(0.5 - Math.exp(-0.5 * u * u - 0.5 * LOG_2PI) * sum);
      }
      return Math.log1p(-Math.exp(logSurvival(-u)));
    }
    var fraction = 0; // Laplace's continued fraction of Mills' ratio
    for (var i = 200; i > 0; i--) { fraction = i / (u + fraction); }
    return -0.5 * u * u - 0.5 * LOG_2PI - Math.log(u + fraction);
  }

  function betaTail(x, a, b) { // I_x(a, b), by its continued fraction where that is short
    if (x <= 0) { return 0; }
    if (x > (a + 1) / (a + b + 2)) { return 1 - betaTail(1 - x, b, a); }
    var front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
    var c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), f = d; // Lentz's method
    for (var i = 1; i < 500; i++) {
      var even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
      d = 1 / (1 + even * d); c = 1 + even / c; f *= c * d;
      var odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1));
      d = 1 / (1 + odd * d); c = 1 + odd / c; f *= c * d;
      if (Math.abs(c * d - 1) < 1e-16) { break; }
    }
    return front * f;
  }

  function logStudent(s, m) { // log P(T < s sqrt(m)) of Student's T with m degrees of freedom
    var tail = 0.5 * betaTail(1 / (1 + s * s), 0.5 * m, 0.5);
    return s > 0 ? Math.log1p(-tail) : Math.log(tail);
  }

  function logSigmoid(u) { return u > 0 ? -Math.log1p(Math.exp(-u)) : u - Math.log1p(Math.exp(u)); }

  function dot(row, z) {
    var sum = 0;
    for (var j = 0; j < row.length; j++) { sum += row[j] * z[j]; }
    return sum;
  }

  function softmax(v) {
    var top = Math.max.apply(null, v);
    var e = v.map(function (a) { return Math.exp(a - top); });
    var total = e.reduce(function (a, b) { return a + b; }, 0);
    return e.map(function (a) { return a / total; });
  }

  function logSumExp(v) {
    var top = Math.max.apply(null, v);
    if (!isFinite(top)) { return top; }
    return top + Math.log(v.reduce(function (a, b) { return a + Math.exp(b - top); }, 0));
  }

  // Columns of the design, each a small tree over the inputs

  var WORDS = {
    log: Math.log, log10: Math.log10, log2: Math.log2, log1p: Math.log1p, exp: Math.exp, expm1: Math.expm1,
    sqrt: Math.sqrt, abs: Math.abs, sin: Math.sin, cos: Math.cos, tanh: Math.tanh,
    neg: function (a) { return -a; }, cube: function (a) { return a * a * a; },
    sigmoid: function (a) { return 0.5 * (1 + Math.tanh(0.5 * a)); },
    "+": function (a, b) { return a + b; }, "-": function (a, b) { return a - b; },
    "*": function (a, b) { return a * b; }, "/": function (a, b) { return a / b; }, "**": Math.pow
  };

  function column(tree, values) {
    if (typeof tree === "number") { return tree; }
    if (tree[0] === "input") { return values[tree[1]]; }
    if (tree[0] === "level") { return values[tree[1]] === tree[2] ? 1 : 0; }
    return WORDS[tree[0]].apply(null, tree.slice(1).map(function (t) { return column(t, values); }));
  }

  function scaled(columns, scaling) {
    return [1].concat(columns.map(function (a, j) { return (a - scaling.center[j]) * scaling.inverse[j]; }));
  }

  // Gates: scores v of the experts

  var GATES = {
    softmax: function (g, z) { return g.rows.map(function (row) { return dot(row, z); }); },
    "top-k": function (g, z) {
      var v = GATES.softmax(g, z);
      if (g.options.top_k >= v.length) { return v; }
      var rank = v.map(function (a, e) { return g.options.rank_on === "logit" ? a : a - g.rows[e][0]; });
      var order = rank.map(function (_, e) { return e; });
      order.sort(function (a, b) { return rank[b] - rank[a] || a - b; });
      var on = order.slice(0, g.options.top_k);
      return v.map(function (a, e) { return on.indexOf(e) >= 0 ? a : -1e30; });
    },
    sigmoid: function (g, z) { return GATES.softmax(g, z).map(logSigmoid); },
    laplace: function (g, z) {
      return g.rows.map(function (row) {
        var square = 1e-12;
        for (var j = 1; j < row.length; j++) { square += (z[j] - row[j]) * (z[j] - row[j]); }
        return row[0] - Math.sqrt(square);
      });
    },
    temperature: function (g, z) {
      return GATES.softmax(g, z).map(function (a) { return a * Math.exp(-g.shared[0]); });
    },
    "activated-temperature": function (g, z) {
      var act = g.options.activation === "tanh" ? WORDS.tanh : WORDS.sigmoid;
      return g.rows.map(function (row) {
        return (act(dot(row.slice(1), z.slice(1))) + row[0]) * Math.exp(-g.shared[0]);
      });
    },
    cosine: function (g, z) {
      var tail = z.slice(1), size = Math.sqrt(dot(tail, tail)) + (g.options.tau_2 || 0);
      return g.rows.map(function (row) {
        var own = row.slice(1), length = Math.max(Math.sqrt(dot(own, own)), 1e-12) + (g.options.tau_1 || 0);
        return row[0] + dot(own, tail) * Math.exp(-g.shared[0]) / Math.max(size, 1e-12) / length;
      });
    }
  };
  GATES["perturbed-cosine"] = GATES.cosine;

  // Families: mean and log-density in the predictors eta, nuisances last, then the trials

  function rate(eta) { return Math.exp(Math.min(Math.max(eta[0], -300), 300)); }

  function binomial(link) {
    function logs(u) {
      if (link === "logit") { return [logSigmoid(u), logSigmoid(-u)]; }
      if (link === "probit") { return [logSurvival(-u), logSurvival(u)]; }
      var a = Math.exp(Math.min(u, 30));
      return [u < -30 ? u : Math.log(-Math.expm1(-Math.max(a, 1e-300))), -a];
    }
    return {
      mean: function (eta) { return (eta.length > 1 ? eta[1] : 1) * Math.exp(logs(eta[0])[0]); },
      logDensity: function (eta, y) {
        var n = eta.length > 1 ? eta[1] : 1, l = logs(eta[0]);
        if (y > n) { return -Infinity; }
        var ways = n === 1 ? 0 : logGamma(n + 1) - logGamma(y + 1) - logGamma(n - y + 1);
        return (y ? y * l[0] : 0) + (n - y ? (n - y) * l[1] : 0) + ways;
      }
    };
  }

  function end(limit, sign) { return limit === null ? sign * Infinity : limit; }
  function below(t) { return t === Infinity ? 1 : t === -Infinity ? 0 : Math.exp(logSurvival(-t)); }
  function phi(t) { return Math.exp(-0.5 * Math.pow(Math.min(Math.abs(t), 45), 2) - 0.5 * LOG_2PI); }

  var FAMILIES = {
    gaussian: {
      mean: function (eta) { return eta[0]; },
      logDensity: function (eta, y) {
        return -0.5 * (LOG_2PI + eta[1] + (y - eta[0]) * (y - eta[0]) * Math.exp(-eta[1]));
      }
    },
    student: {
      mean: function (eta) { return eta[0]; },
      logDensity: function (eta, y) {
        var nu = Math.exp(eta[2]), u = (y - eta[0]) * Math.exp(-0.5 * eta[1]);
        return logGamma(0.5 * (nu + 1)) - logGamma(0.5 * nu) - 0.5 * (Math.log(Math.PI * nu) + eta[1]) -
          0.5 * (nu + 1) * Math.log1p(u * u / nu);
      }
    },
    "skew-t": {
      mean: function (eta) {
        var nu = Math.exp(eta[3]), delta = eta[2] / Math.sqrt(1 + eta[2] * eta[2]);
        if (nu <= 1) { return NaN; }
        return eta[0] + Math.exp(0.5 * eta[1] + logGamma(0.5 * (nu - 1)) - logGamma(0.5 * nu)) *
          delta * Math.sqrt(nu / Math.PI);
      },
      logDensity: function (eta, y) {
        var nu = Math.exp(eta[3]), u = (y - eta[0]) * Math.exp(-0.5 * eta[1]);
        return Math.LN2 + FAMILIES.student.logDensity([eta[0], eta[1], eta[3]], y) +
          logStudent(eta[2] * u / Math.sqrt(nu + u * u), nu + 1);
      }
    },
    poisson: {
      mean: function (eta) { return Math.exp(Math.min(eta[0], 300)); },
      logDensity: function (eta, y) {
        return y * Math.min(eta[0], 300) - Math.exp(Math.min(eta[0], 300)) - logGamma(y + 1);
      }
    },
    "negative-binomial": {
      mean: function (eta) { return Math.exp(Math.min(eta[0], 300)); },
      logDensity: function (eta, y) {
        var mu = Math.exp(Math.min(eta[0], 300)), t = Math.exp(-eta[1]);
        return logGamma(y + t) - logGamma(t) - logGamma(y + 1) +
          y * (Math.min(eta[0], 300) - Math.log(mu + t)) - t * Math.log1p(mu / t);
      }
    },
    binomial: binomial("logit"), "binomial-probit": binomial("probit"), "binomial-cloglog": binomial("cloglog"),
    gamma: {
      mean: rate,
      logDensity: function (eta, y) {
        var a = Math.exp(-eta[1]);
        return a * (Math.log(y) - eta[0] - eta[1] - y / rate(eta)) - logGamma(a) - Math.log(y);
      }
    },
    "inverse-gaussian": {
      mean: rate,
      logDensity: function (eta, y) {
        var gap = y / rate(eta) - 1;
        return -0.5 * (eta[1] + gap * gap / y * Math.exp(-eta[1]) + LOG_2PI + 3 * Math.log(y));
      }
    },
    lognormal: {
      mean: function (eta) { return Math.exp(Math.min(eta[0] + 0.5 * Math.exp(eta[1]), 300)); },
      logDensity: function (eta, y) { return FAMILIES.gaussian.logDensity(eta, Math.log(y)) - Math.log(y); }
    },
    weibull: {
      mean: function (eta) { return rate(eta) * Math.exp(logGamma(1 + Math.exp(eta[1]))); },
      logDensity: function (eta, y) {
        var z = (Math.log(y) - eta[0]) * Math.exp(-eta[1]);
        return z - Math.exp(Math.min(z, 300)) - eta[1] - Math.log(y);
      }
    },
    beta: {
      mean: function (eta) { return 1 / (1 + Math.exp(-Math.min(Math.max(eta[0], -30), 30))); },
      logDensity: function (eta, y) {
        var u = Math.min(Math.max(eta[0], -30), 30), phi = Math.exp(-eta[1]);
        var a = phi / (1 + Math.exp(-u)), b = phi / (1 + Math.exp(u));
        return logGamma(phi) - logGamma(a) - logGamma(b) + (a - 1) * Math.log(y) + (b - 1) * Math.log1p(-y);
      }
    },
    "truncated-poisson": {
      mean: function (eta) {
        var mu = Math.max(Math.exp(Math.min(eta[0], 300)), 1e-300);
        return mu / -Math.expm1(-mu);
      },
      logDensity: function (eta, y) {
        if (y < 1) { return -Infinity; }
        var mu = Math.max(Math.exp(Math.min(eta[0], 300)), 1e-300);
        return FAMILIES.poisson.logDensity(eta, y) - Math.log(-Math.expm1(-mu));
      }
    },
    censored: { // a normal number seen between two limits, each with a probability of its own
      mean: function (eta, limits) {
        var root = Math.exp(0.5 * eta[1]), low = end(limits[0], -1), high = end(limits[1], 1);
        var a = (low - eta[0]) / root, b = (high - eta[0]) / root, c = Math.min(Math.max(0, a), b);
        var p = a > 0 ? below(-a) - below(-b) : below(b) - below(a);
        var first = (isFinite(a) ? a - c : 0) * below(a) + (isFinite(b) ? b - c : 0) * below(-b) + phi(a) - phi(b) - c * p;
        return Math.min(Math.max(eta[0] + root * (c + first), low), high);
      },
      logDensity: function (eta, y, limits, scale) {
        var root = Math.exp(0.5 * eta[1]), low = end(limits[0], -1), high = end(limits[1], 1);
        if (y < low || y > high) { return -Infinity; }
        if (y === low) { return logSurvival((eta[0] - low) / root) + Math.log(scale); } // a probability has no unit
        if (y === high) { return logSurvival((high - eta[0]) / root) + Math.log(scale); }
        return FAMILIES.gaussian.logDensity(eta, y);
      }
    },
    zero: { mean: function () { return 0; }, logDensity: function (_, y) { return y === 0 ? 0 : -Infinity; } },
    one: { mean: function () { return 1; }, logDensity: function (_, y) { return y === 1 ? 0 : -Infinity; } },
    multinomial: { mean: function (eta) { return softmax(eta.concat([0])); } },
    ordinal: { // thresholds in order: each is the one before it and log(1 + exp(a nuisance))
      mean: function (eta) {
        var ends = [-eta[0]], threshold = 0, gaps = eta.slice(1).map(function (v) { return -logSigmoid(-v); });
        gaps.forEach(function (gap) { threshold += gap; ends.push(threshold - eta[0]); });
        var K = ends.length + 1, logs = [];
        for (var c = 0; c < K; c++) {
          logs.push((c < K - 1 ? logSigmoid(ends[c]) : 0) + (c ? logSigmoid(-ends[c - 1]) : 0) +
            (c && c < K - 1 ? Math.log(-Math.expm1(-gaps[c - 1])) : 0));
        }
        return softmax(logs);
      }
    }
  };
  FAMILIES.interval = FAMILIES.gaussian; // of the number itself, seen or not
  ["gamma", "inverse-gaussian", "lognormal", "weibull", "beta"].forEach(function (name) {
    var inside = FAMILIES[name].logDensity;
    FAMILIES[name].logDensity = function (eta, y) {
      return y > 0 && (name !== "beta" || y < 1) ? inside(eta, y) : -Infinity;
    };
  });

  function gated(spec, values, grid) {
    var x = spec.x.map(function (t) { return column(t, values); });
    var z = spec.z === null ? x : spec.z.map(function (t) { return column(t, values); });
    if (spec.transform) { z = z.map(WORDS[spec.transform]); }
    var gate = softmax(GATES[spec.gate.name](spec.gate, scaled(z, spec.gate.scaling)));
    var row = scaled(x, spec.experts.scaling);
    var offset = spec.offset === null ? 0 : values[spec.offset] / spec.scale;
    var etas = spec.experts.coefficients.map(function (rows, e) {
      var eta = rows.map(function (r) { return dot(r, row) + offset; }).concat(spec.experts.nuisances[e]);
      return spec.trials === null ? eta : eta.concat([values[spec.trials]]);
    });
    var families = spec.families.map(function (name) { return FAMILIES[name]; });
    var means = etas.map(function (eta, e) {
      var m = families[e].mean(eta, spec.limits[e]);
      return spec.classes.length ? m : spec.center + spec.scale * m;
    });
    if (spec.classes.length) {
      return { gate: gate, means: means, density: mixed(gate, means) };
    }
    var density = grid.map(function (y) {
      var u = (y - spec.center) / spec.scale;
      return Math.exp(logSumExp(etas.map(function (eta, e) {
        return Math.log(gate[e]) + families[e].logDensity(eta, u, spec.limits[e], spec.scale);
      }))) / spec.scale;
    });
    return { gate: gate, means: means, density: density };
  }

  function mixed(gate, means) {
    return means[0].map(function (_, c) {
      return gate.reduce(function (sum, g, e) { return sum + g * means[e][c]; }, 0);
    });
  }

  // Located experts: the gate is a mixture of Gaussian or Student laws of x

  function logT(distance, logDet, D, nu) {
    if (nu === null) { return -0.5 * (D * LOG_2PI + logDet + distance); }
    return logGamma((nu + D) / 2) - logGamma(nu / 2) - 0.5 * (D * Math.log(Math.PI * nu) + logDet) -
      0.5 * (nu + D) * Math.log1p(distance / nu);
  }

  function located(spec, values, grid, response) {
    var x = spec.x.map(function (t) { return column(t, values); }), d = x.length, j = response || 0;
    var distances = spec.atoms.map(function (a) {
      var square = 0;
      a.white.forEach(function (row) {
        var w = 0;
        for (var i = 0; i < d; i++) { w += row[i] * (x[i] - a.mean[i]); }
        square += w * w;
      });
      return square;
    });
    var gate = softmax(spec.atoms.map(function (a, e) {
      return a.logWeight + logT(distances[e], a.logDet, d, a.nu);
    }));
    var phi = spec.monomials.map(function (m) {
      return m.reduce(function (product, i) { return product * x[i]; }, 1);
    });
    var means = spec.atoms.map(function (a) { return a.intercepts[j] + dot(a.slopes[j], phi); });
    var density = grid.map(function (y) {
      return Math.exp(logSumExp(spec.atoms.map(function (a, e) {
        var nu = a.nu === null ? null : a.nu + d;
        var variance = a.noise[j] * (a.nu === null ? 1 : (a.nu + distances[e]) / nu);
        var gap = (y - means[e]) * (y - means[e]) / variance;
        return Math.log(gate[e]) + logT(gap, Math.log(variance), 1, nu);
      })));
    });
    return { gate: gate, means: means, density: density };
  }

  function evaluate(spec, values, grid, response) {
    return spec.kind === "located" ? located(spec, values, grid, response) : gated(spec, values, grid);
  }

  // The page

  function short(a) {
    if (!isFinite(a)) { return "–"; }
    var size = Math.abs(a);
    return size && (size < 1e-3 || size >= 1e6) ? a.toExponential(2) : String(Number(a.toPrecision(4)));
  }

  function make(tag, parent, text, attributes) {
    var node = document.createElement(tag);
    if (text !== undefined && text !== null) { node.textContent = text; }
    Object.keys(attributes || {}).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    parent.appendChild(node);
    return node;
  }

  function svg(tag, parent, attributes) {
    var node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.keys(attributes).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    parent.appendChild(node);
    return node;
  }

  function curve(box, grid, density, discrete) {
    box.textContent = "";
    var W = 600, H = 200, top = Math.max.apply(null, density.filter(isFinite)) || 1;
    var low = grid[0], wide = grid[grid.length - 1] - low || 1;
    function at(i) { return 10 + (W - 20) * (grid[i] - low) / wide; }
    function up(v) { return H - 24 - (H - 40) * Math.min(isFinite(v) ? v / top : 1, 1); }
    if (discrete) {
      var bar = Math.max(1, 0.7 * (W - 20) / grid.length);
      density.forEach(function (v, i) {
        svg("rect", box, { x: at(i) - bar / 2, y: up(v), width: bar, height: H - 24 - up(v), "class": "bar" });
      });
    } else {
      var path = density.map(function (v, i) { return (i ? "L" : "M") + at(i).toFixed(2) + " " + up(v).toFixed(2); });
      svg("path", box, { d: path.join("") + "L" + at(grid.length - 1) + " " + (H - 24) + "L10 " + (H - 24) + "Z", "class": "area" });
    }
    svg("line", box, { x1: 10, x2: W - 10, y1: H - 24, y2: H - 24, "class": "axis" });
    ticks(low, low + wide, discrete).forEach(function (v) {
      var x = 10 + (W - 20) * (v - low) / wide;
      svg("line", box, { x1: x, x2: x, y1: H - 24, y2: H - 20, "class": "axis" });
      svg("text", box, { x: x, y: H - 6, "text-anchor": x < 30 ? "start" : x > W - 30 ? "end" : "middle" }).textContent = short(v);
    });
  }

  // Four to eight round numbers between two ends; whole ones where the response counts.
  function ticks(low, high, whole) {
    var rough = (high - low) / 6, size = Math.pow(10, Math.floor(Math.log10(rough)));
    var step = size * [1, 2, 5, 10].find(function (m) { return m * size >= rough * 0.999; });
    if (whole) { step = Math.max(1, step); }
    var found = [];
    for (var i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) { found.push(Number((i * step).toPrecision(12))); }
    return found;
  }

  function bars(box, names, shares, colors) {
    box.textContent = "";
    names.forEach(function (name, i) {
      var row = make("div", box, null, { "class": "meter" });
      make("span", row, name, { "class": "name" });
      var track = make("span", row, null, { "class": "track", "aria-hidden": "true" });
      var fill = make("span", track, null, { "class": "fill" });
      fill.style.width = (100 * shares[i]).toFixed(2) + "%";
      fill.style.background = colors[i % colors.length];
      make("span", row, (100 * shares[i]).toFixed(1) + "%", { "class": "value" });
    });
  }

  function mount(spec, host) {
    var values = spec.inputs.map(function (input) { return input.start; }), response = 0;
    var form = make("form", host, null, { "class": "inputs" });
    var said = make("div", host, null, { "class": "outputs" });
    var names = spec.inputs.map(function (input) { return input.name; });
    if (spec.responses.length > 1) {
      var which = make("p", form), id = "explorer-response";
      make("label", which, "Response", { "for": id });
      var select = make("select", which, null, { id: id });
      spec.responses.forEach(function (name, j) { make("option", select, name, { value: j }); });
      select.addEventListener("input", function () { response = Number(select.value); show(); });
    }
    names.forEach(function (name, i) {
      var input = spec.inputs[i], line = make("p", form), own = "explorer-input-" + i;
      make("label", line, name, { "for": own });
      if (input.levels) {
        var choice = make("select", line, null, { id: own });
        input.levels.forEach(function (level, l) { make("option", choice, level, { value: l }); });
        choice.value = String(input.start);
        choice.addEventListener("input", function () { values[i] = Number(choice.value); show(); });
        return;
      }
      var told = make("output", line, short(input.start), { "for": own });
      var slider = make("input", line, null, {
        id: own, type: "range", min: input.low, max: input.high, step: input.whole ? 1 : "any"
      });
      slider.value = String(input.start);
      slider.addEventListener("input", function () {
        values[i] = Number(slider.value);
        told.textContent = short(values[i]);
        show();
      });
    });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    var experts = spec.experts_names;
    make("h3", said, "Weights of the experts");
    var gateBox = make("div", said, null, { "class": "meters" });
    make("h3", said, spec.classes.length ? "Probabilities of the classes" : "What each expert expects");
    var classBox = spec.classes.length ? make("div", said, null, { "class": "meters" }) : null;
    var table = make("table", said), body = make("tbody", table), cells = [];
    if (spec.classes.length) {
      var head = make("tr", make("thead", table));
      make("th", head, "expert", { scope: "col" });
      spec.classes.forEach(function (c) { make("th", head, c, { scope: "col" }); });
    }
    experts.forEach(function (name) {
      var row = make("tr", body);
      make("th", row, name, { scope: "row" });
      cells.push((spec.classes.length ? spec.classes : [0]).map(function () { return make("td", row); }));
    });
    var picture = null, caption = null;
    if (!spec.classes.length) {
      caption = make("h3", said, "");
      picture = svg("svg", said, { viewBox: "0 0 600 200", role: "img", "class": "curve" });
    }
    var heard = make("p", said, "", { "aria-live": "polite", "class": "heard" });

    function show() {
      var grid = spec.grids[response] || [], found = evaluate(spec, values, grid, response);
      bars(gateBox, experts, found.gate, spec.colors);
      found.means.forEach(function (m, e) {
        (spec.classes.length ? m : [m]).forEach(function (v, c) { cells[e][c].textContent = short(v); });
      });
      var lead = found.gate.indexOf(Math.max.apply(null, found.gate));
      var words = "In the lead: " + experts[lead] + ", with " + (100 * found.gate[lead]).toFixed(0) + "%. ";
      if (classBox) {
        bars(classBox, spec.classes, found.density, spec.colors);
        var best = found.density.indexOf(Math.max.apply(null, found.density));
        heard.textContent = words + "Most probable: " + spec.classes[best] + ".";
      } else {
        var mean = found.gate.reduce(function (sum, g, e) { return sum + g * found.means[e]; }, 0);
        var what = spec.responses[response], lies = spec.points.length || spec.latent;
        caption.textContent = (spec.discrete ? "Probabilities of " : "Density of ") + what +
          (spec.latent ? " itself, seen or not" : lies ? " between its limits" : "");
        picture.setAttribute("aria-label", caption.textContent + " at the values that are set");
        function inside(_, i) { return spec.points.indexOf(grid[i]) < 0; } // a limit has a probability, no density
        curve(picture, grid.filter(inside), found.density.filter(inside), spec.discrete);
        var limits = spec.points.map(function (point) {
          return " At the limit " + short(point) + ": " + (100 * found.density[grid.indexOf(point)]).toFixed(1) + "%.";
        });
        heard.textContent = words + "Expected " + what + ": " + short(mean) + "." + limits.join("");
      }
    }
    show();
  }

  var explorer = { evaluate: evaluate, mount: mount };
  if (typeof module !== "undefined" && module.exports) { module.exports = explorer; } else { root.moestro = explorer; }
})(typeof window === "undefined" ? this : window);
