// The calculator of a plan: what the formulas of plan.js give, in words, rows and a chart, anew at each change.
// narrowsPlanTexts is pure, and says the same as narrows/report/plan_outcome.py, to the letter. Needs plan.js.
"use strict";
(() => {
  const KINDS = ["storage", "memory", "training", "upkeep"];
  const UNITS = ["B", "kB", "MB", "GB", "TB"];
  const LATEST = 1200; // months: what pays back later than in a hundred years does not

  function fixed(value, digits) {
    const text = value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ",");
    return /[1-9]/.test(text) ? text : text.replace("-", "");
  }
  function size(gigabytes) {
    let value = gigabytes * 1e9, unit = 0;
    while (Math.abs(value) >= 1000 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
    return `${fixed(value, unit ? 2 : 0)} ${UNITS[unit]}`;
  }
  function fill(text, values) { return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all); }
  function total(plan, way, name) { return plan.months.reduce((sum, month) => sum + month[way][name], 0); }
  function spent(side) { return side.storage + side.memory + side.training + side.upkeep; }

  function summary(plan, words) {
    const last = plan.months[plan.months.length - 1];
    const rows = [["networks", String(last.shared.networks), String(last.separate.networks), ""]];
    for (const name of ["storage_gb", "memory_gb"]) {
      const [one, other] = [last.shared[name], last.separate[name]];
      rows.push([name, size(one), size(other), size(other - one)]);
    }
    const hours = ["shared", "separate"].map((way) => total(plan, way, "training_hours"));
    rows.push(["training_hours", fixed(hours[0], 2), fixed(hours[1], 2), fixed(hours[1] - hours[0], 2)]);
    for (const kind of KINDS) {
      rows.push([kind, fixed(total(plan, "shared", kind), 2), fixed(total(plan, "separate", kind), 2), fixed(plan["saved_" + kind], 2)]);
    }
    rows.push(["setup", fixed(plan.setup, 2), fixed(0, 2), fixed(-plan.setup, 2)]);
    rows.push(["total", fixed(last.shared.cumulative, 2), fixed(last.separate.cumulative, 2), fixed(plan.saved, 2)]);
    return rows.map(([name, ...cells]) => [words["row_" + name], ...cells]);
  }

  function monthly(plan) {
    return plan.months.map((month) => [
      String(month.month), String(month.tasks),
      ...["storage_gb", "memory_gb"].flatMap((name) => [size(month.shared[name]), size(month.separate[name])]),
      fixed(month.shared.cumulative, 2), fixed(month.separate.cumulative, 2),
    ]);
  }

  function list(plan, words, sign) {
    const found = KINDS.filter((kind) => sign * plan["saved_" + kind] >= 0.005)
      .map((kind) => fill(words.item, { what: words["row_" + kind], money: fixed(sign * plan["saved_" + kind], 2) }));
    if (sign < 0 && plan.setup > 0) found.push(fill(words.item, { what: words.row_setup, money: fixed(plan.setup, 2) }));
    return found.join(words.comma);
  }

  function sentences(plan, assumptions, words) {
    const last = plan.months[plan.months.length - 1], months = plan.months.length;
    const kind = plan.saved > 0 ? "less" : plan.saved < 0 ? "more" : "same";
    const told = [[kind, { months, shared: fixed(last.shared.cumulative, 2), separate: fixed(last.separate.cumulative, 2), difference: fixed(Math.abs(plan.saved), 2) }]];
    const gain = spent(last.separate) - spent(last.shared);
    if (plan.payback_month !== null) told.push(["payback", { month: plan.payback_month }]);
    else if (gain > 0) {
      const month = months + -plan.saved / gain;
      told.push(month > LATEST ? ["far", { gain: fixed(gain, 2) }] : ["later", { months, gain: fixed(gain, 2), month: Math.ceil(month) }]);
    }
    else told.push(["never", { months }]);
    const [saves, costs] = [list(plan, words, 1), list(plan, words, -1)];
    if (saves) told.push(["saves", { list: saves }]);
    if (costs) told.push(["costs", { list: costs }]);
    told.push(["disk", { months, tasks: last.tasks, shared: size(last.shared.storage_gb), separate: size(last.separate.storage_gb) }]);
    told.push([assumptions.packed ? "packed" : "whole", { packed: size(last.shared.memory_packed_gb), all: size(last.shared.memory_all_gb) }]);
    if (plan.second_network_month !== null) told.push(["second", { month: plan.second_network_month }]);
    return told.map(([name, values]) => fill(words["say_" + name], values));
  }

  function points(plan, words) {
    return plan.months.flatMap((month) => ["shared", "separate"].map((way) => ({ month: month.month, way: words[way], cost: month[way].cumulative, shown: fixed(month[way].cumulative, 2) })));
  }

  globalThis.narrowsPlanTexts = (plan, assumptions, words) => ({
    summary: summary(plan, words), months: monthly(plan), sentences: sentences(plan, assumptions, words), points: points(plan, words),
  });

  if (typeof window === "undefined") return;

  window.narrowsCalculator_plan = (element, { vegaEmbed, embedding, save }) => {
    const start = JSON.parse(element.querySelector("script.start").textContent);
    const words = JSON.parse(element.querySelector("script.words").textContent);
    const inputs = [...element.querySelectorAll("form.fields input")];
    const problem = element.querySelector(".problem");
    let made = null, waiting = 0;

    function read() {
      const bad = inputs.filter((input) => !input.checkValidity());
      for (const input of inputs) input.setAttribute("aria-invalid", String(bad.includes(input)));
      problem.textContent = bad.map((input) => fill(words.invalid, { name: input.labels[0].textContent, low: input.min, high: input.max })).join(" ");
      problem.hidden = bad.length === 0;
      if (bad.length) return null;
      return Object.fromEntries(inputs.map((input) => [input.name, input.value === "" ? null : Number(input.value)]));
    }
    function fillTable(name, rows) {
      const body = element.querySelector(`[data-table="${name}"] tbody`);
      body.replaceChildren(...rows.map((cells) => {
        const row = document.createElement("tr");
        row.append(...cells.map((cell, place) => {
          const made = document.createElement(place ? "td" : "th");
          if (!place) made.scope = "row";
          if (place || name === "months") made.className = "n";
          made.textContent = cell;
          return made;
        }));
        return row;
      }));
    }
    function redraw() {
      const assumptions = read();
      if (assumptions === null) return;
      const plan = globalThis.narrowsPlan(start.figures, assumptions);
      made = { format: "narrows-plan", version: 1, measured: start.measured, assumptions, plan };
      const told = globalThis.narrowsPlanTexts(plan, assumptions, words);
      fillTable("summary", told.summary);
      fillTable("months", told.months);
      element.querySelector(".sentences").replaceChildren(...told.sentences.map((text) => {
        const item = document.createElement("li");
        item.textContent = text;
        return item;
      }));
      const place = element.querySelector(".plan-chart");
      const spec = { ...start.spec, data: { values: told.points } };
      const turn = (element.dataset.turn = String(Number(element.dataset.turn ?? 0) + 1));
      return vegaEmbed(place, spec, embedding)
        .then(() => { place.dataset.drawn = "yes"; place.dataset.turn = turn; })
        .catch((error) => { place.dataset.drawn = "failed"; place.textContent = String(error); console.error(error); });
    }
    function columns() {
      const side = Object.keys(made.plan.months[0].shared);
      const ways = ["shared", "separate"];
      const head = ["month", "tasks", "added", ...ways.flatMap((way) => side.map((name) => `${way}_${name}`))];
      const rows = made.plan.months.map((month) => [month.month, month.tasks, month.added, ...ways.flatMap((way) => side.map((name) => month[way][name]))]);
      return window.narrowsCsv([head, ...rows]);
    }
    const actions = {
      reset: () => { element.querySelector("form.fields").reset(); redraw(); },
      json: () => made && save("plan.json", "application/json", JSON.stringify(made, null, 1) + "\n"),
      csv: () => made && save("plan.csv", "text/csv", columns()),
    };
    for (const button of element.querySelectorAll("button[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
    element.querySelector("form.fields").addEventListener("submit", (event) => event.preventDefault());
    for (const input of inputs) {
      input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
    }
    redraw();
  };
})();
