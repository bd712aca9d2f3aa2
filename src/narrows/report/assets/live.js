// Follows a run: takes the sections that have changed from the server, and leaves the reader where they were.
"use strict";
(() => {
  const page = window.narrowsPage, content = document.getElementById("content"), status = document.getElementById("connection");
  const sections = () => [...content.querySelectorAll(":scope > section")];

  function connect(wait) {
    const have = sections().map((section) => `${section.id}:${section.dataset.version}`).join(",");
    const source = new EventSource(`${document.body.dataset.live}?have=${encodeURIComponent(have)}`);
    source.onopen = () => { wait = 1000; say(true); };
    source.onmessage = (message) => update(JSON.parse(message.data));
    source.onerror = () => { source.close(); say(false); setTimeout(() => connect(Math.min(2 * wait, 15_000)), wait); };
  }
  function say(connected) {
    const text = connected ? status.dataset.connected : status.dataset.lost;
    status.classList.toggle("lost", !connected);
    if (status.textContent !== text) status.textContent = text;
  }

  // What has no id of its own is found by the nearest that has one, and its place among those of its kind in there.
  function place(element, kind) {
    const home = element.parentElement.closest("[id]");
    return `${home.id} ${kind} ${[...home.querySelectorAll(kind)].indexOf(element)}`;
  }
  const each = (root, kind, act) => { for (const element of root.querySelectorAll(kind)) act(element, place(element, kind)); };

  function remember(root) {
    const state = { open: new Set(), picked: new Map(), scrolled: new Map(), typed: new Map(), plots: new Map(), focus: null };
    each(root, "details", (details, at) => details.open && state.open.add(at));
    each(root, "select", (select, at) => state.picked.set(at, select.selectedOptions[0]?.text));
    each(root, ".scroll", (box, at) => state.scrolled.set(at, box.scrollLeft));
    each(root, "input", (input, at) => input.value !== input.defaultValue && state.typed.set(at, input.value));
    for (const plot of root.querySelectorAll(".plot")) state.plots.set(plot.dataset.chart, plot);
    const focus = document.activeElement;
    if (root.contains(focus)) state.focus = [focus.tagName.toLowerCase(), place(focus, focus.tagName.toLowerCase())];
    return state;
  }
  const spec = (root, chart) => root.querySelector(`#${CSS.escape("spec-" + chart)}`).textContent;

  // A chart whose numbers are the same stays; of another the height, so that the page does not jump.
  function keepPlots(before, after, state) {
    for (const plot of after.querySelectorAll(".plot")) {
      const old = state.plots.get(plot.dataset.chart);
      if (!old) continue;
      if (spec(before, plot.dataset.chart) === spec(after, plot.dataset.chart)) {
        plot.replaceWith(old);
        state.plots.delete(plot.dataset.chart);
      } else plot.style.minHeight = `${old.offsetHeight}px`;
    }
    for (const old of state.plots.values()) page.drop(old);
  }
  function restore(root, state) {
    each(root, "details", (details, at) => { details.open = state.open.has(at); });
    each(root, "select", (select, at) => {
      const option = [...select.options].find((one) => one.text === state.picked.get(at));
      if (option && !option.selected) { option.selected = true; select.dispatchEvent(new Event("change", { bubbles: true })); }
    });
    each(root, "input", (input, at) => {
      if (state.typed.has(at)) { input.value = state.typed.get(at); input.dispatchEvent(new Event("input", { bubbles: true })); }
    });
    each(root, ".scroll", (box, at) => { box.scrollLeft = state.scrolled.get(at) ?? 0; });
    if (state.focus) each(root, state.focus[0], (element, at) => at === state.focus[1] && element.focus({ preventScroll: true }));
  }

  function put(html, before) {
    const shell = document.createElement("template");
    shell.innerHTML = html;
    const after = shell.content.firstElementChild;
    if (!before) { content.append(after); page.wire(after); return; }
    const state = remember(before);
    keepPlots(before, after, state);
    before.replaceWith(after);
    page.wire(after);
    restore(after, state);
  }

  function update(message) {
    const seen = sections().find((section) => section.getBoundingClientRect().bottom > 0);
    const top = seen?.getBoundingClientRect().top;
    for (const [key, html] of Object.entries(message.changed)) put(html, document.getElementById(key));
    for (const section of sections()) if (!message.order.includes(section.id)) {
      section.querySelectorAll(".plot").forEach(page.drop);
      section.remove();
    }
    const order = sections().map((section) => section.id);
    if (order.join() !== message.order.join()) for (const key of message.order) content.append(document.getElementById(key));
    document.title = message.title;
    document.querySelector("h1").textContent = message.title;
    document.querySelector("header p").textContent = message.subtitle;
    contents();
    const now = seen && document.getElementById(seen.id);
    if (now && window.scrollY > 0) window.scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
  }
  function contents() {
    const list = document.querySelector("nav ol");
    const wanted = sections().map((section) => [`#${section.id}`, section.querySelector("h2").textContent]);
    const there = [...list.querySelectorAll("a")].map((link) => [link.getAttribute("href"), link.textContent]);
    if (JSON.stringify(wanted) === JSON.stringify(there)) return;
    list.replaceChildren(...wanted.map(([href, text]) => {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = href;
      link.textContent = text;
      item.append(link);
      return item;
    }));
  }

  connect(1000);
})();
