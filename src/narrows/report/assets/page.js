// Draws the charts, lets the reader pick, and saves tables. Fetches nothing.
"use strict";
(() => {
  const font = getComputedStyle(document.body).fontFamily;
  const config = { ...JSON.parse(document.getElementById("chart-config").textContent), font };
  if (window.innerWidth < 600) config.legend.columns = 2;
  // The page's policy lets no script put in styles: those of vega are in page.css.
  const embedding = { config, renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true } };
  const drawn = new WeakMap(); // element -> promise of its view

  function draw(place) {
    if (drawn.has(place)) return drawn.get(place);
    const spec = JSON.parse(document.getElementById("spec-" + place.dataset.chart).textContent);
    const promise = vegaEmbed(place, spec, embedding)
      .then((result) => { place.dataset.drawn = "yes"; return result; })
      .catch((error) => { place.dataset.drawn = "failed"; place.textContent = String(error); console.error(error); });
    drawn.set(place, promise);
    return promise;
  }
  // Charts are drawn when they come near: 50 tasks have many.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "600px" });

  function visible(place) { return place.getClientRects().length > 0; }
  // For printing, and for tests: everything that can be seen.
  function drawAll() {
    return Promise.all([...document.querySelectorAll(".plot")].filter(visible).map(draw));
  }

  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  const asCsv = (table) => window.narrowsCsv([...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));

  function wire(root) {
    for (const place of root.querySelectorAll(".plot")) near.observe(place);
    for (const button of root.querySelectorAll("button.csv")) {
      button.addEventListener("click", () => {
        const table = button.previousElementSibling.querySelector("table");
        save(button.dataset.name.replace(/[^\p{L}\p{N}]+/gu, "-") + ".csv", "text/csv", "\ufeff" + asCsv(table));
      });
    }
    for (const select of root.querySelectorAll(".choice > select")) {
      select.addEventListener("change", () => {
        for (const option of select.parentElement.querySelectorAll(":scope > .option")) option.hidden = option.dataset.option !== select.value;
      });
    }
    for (const calculator of root.querySelectorAll(".calculator")) {
      const kind = window["narrowsCalculator_" + calculator.dataset.kind];
      if (kind) kind(calculator, { vegaEmbed, embedding, save });
    }
  }

  wire(document);
  window.addEventListener("beforeprint", drawAll);
  // Every number of the page as it stands there, by section: figures with their sources, tables.
  function numbers() {
    const text = (element) => element?.textContent.trim() ?? "";
    const figure = (stat) => ({
      title: text(stat.querySelector("dt").firstChild), value: text(stat.querySelector("dd")),
      sources: [...stat.querySelectorAll(".source code")].map(text),
    });
    const table = (found) => ({ title: text(found.caption), rows: [...found.rows].map((row) => [...row.cells].map(text)) });
    const section = (part) => ({
      key: part.id, title: text(part.querySelector("h2")),
      figures: [...part.querySelectorAll(".stat")].map(figure), tables: [...part.querySelectorAll("table")].map(table),
    });
    return { format: "narrows-page", version: 1, title: document.title, language: document.documentElement.lang, sections: [...document.querySelectorAll("main > section")].map(section) };
  }
  document.getElementById("download").addEventListener("click", () =>
    save("report.json", "application/json", JSON.stringify(numbers(), null, 1) + "\n"));
  // A chart that leaves the page: its view would go on listening.
  function drop(place) {
    near.unobserve(place);
    drawn.get(place)?.then((result) => result?.finalize());
  }
  window.narrowsPage = { draw, drawAll, drop, visible, wire };
})();
