// What makes the pages quicker to use. Every page works without it.
"use strict";
(() => {
  const root = document.documentElement;
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add("js");

  const say = (text) => {
    const line = one("#said");
    line.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { line.textContent = ""; }, 1600);
  };

  // navigator.clipboard exists on https and localhost only; elsewhere a selection is copied the old way.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = document.createElement("textarea");
      box.value = text;
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    say("Copied");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button.dataset.copy);
  });

  // Times show the reader's own zone when pointed at.
  for (const time of all("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.title = `${moment.toLocaleString()}\n${time.title}`;
  }

  for (const select of all("select[data-submit]")) select.addEventListener("change", () => select.form.requestSubmit());

  // Bulk selection: all, and ranges with shift.
  const everything = one("[data-all]");
  const boxes = all(".issues input[name=id]");
  let lastBox = null;
  if (everything) everything.addEventListener("change", () => { for (const box of boxes) box.checked = everything.checked; });
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && lastBox) {
        const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((a, b) => a - b);
        for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
      }
      lastBox = box;
    });
  }

  // App frames or all, without leaving the page.
  const frames = one("[data-frames]");
  const toggleFrames = () => {
    const rolled = all(".rolled > details");
    if (!frames || rolled.length === 0) return false;
    const open = !rolled.every((part) => part.open);
    for (const part of rolled) part.open = open;
    all("a", frames).forEach((link, place) => {
      if ((place === 1) === open) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    });
    return true;
  };
  if (frames) {
    frames.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (link.getAttribute("aria-current") || toggleFrames()) event.preventDefault();
    });
  }

  // The first event of a project: ask until it is there.
  const listening = one("[data-listen]");
  if (listening) {
    const ask = async () => {
      try {
        const answer = await fetch(listening.dataset.listen, { headers: { accept: "application/json" } });
        if (answer.ok && (await answer.json()).seen) return location.reload();
      } catch { /* the server is away for a moment: ask again */ }
      setTimeout(ask, document.hidden ? 5000 : 1000);
    };
    setTimeout(ask, 1000);
  }

  // A page of the console draws itself anew, unless somebody is in the middle of something on it.
  const live = one("[data-live]");
  if (live) {
    const isBusy = () => document.hidden || live.contains(document.activeElement) || one("details[open]", live)
      || one("input:checked", live) || !getSelection().isCollapsed;
    const refresh = async () => {
      if (!isBusy()) {
        try {
          const answer = await fetch(location.href, { headers: { accept: "text/html" } });
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = one("[data-live]", page);
          const dot = one(".pipeline", page);
          if (answer.ok && fresh && !isBusy()) {
            live.innerHTML = fresh.innerHTML;
            one(".pipeline").replaceWith(dot);
          }
        } catch { /* the server is away for a moment: ask again */ }
      }
      setTimeout(refresh, 1000 * live.dataset.live);
    };
    setTimeout(refresh, 1000 * live.dataset.live);
  }

  // Keys. j and k walk rows, or sections where there are no rows.
  const stops = () => (one("[data-row]") ? all("[data-row]") : all("[data-section]"));
  let place = -1;
  const walk = (step) => {
    const list = stops();
    if (list.length === 0) return;
    list[place]?.classList.remove("at");
    place = Math.min(Math.max(place + step, 0), list.length - 1);
    list[place].classList.add("at");
    list[place].scrollIntoView({ block: one("[data-row]") ? "nearest" : "start" });
  };
  const current = () => stops()[place];
  const press = (key) => {
    const target = one(`[data-key="${CSS.escape(key)}"]`);
    if (target) target.click();
    return Boolean(target);
  };
  const resolve = () => {
    const bulk = one("[data-bulk]");
    if (bulk && !boxes.some((box) => box.checked)) {
      const box = current() && one("input[name=id]", current());
      if (!box) return;
      box.checked = true;
    }
    press("r");
  };
  // Back to the very list one came from, filters and place included; else to the project's.
  const backToList = () => {
    const from = document.referrer ? new URL(document.referrer) : null;
    if (from && from.origin === location.origin && from.pathname === "/") history.back(); else press("u");
  };
  const acts = {
    j: () => walk(1), k: () => walk(-1),
    o: () => one("[data-open]", current() ?? document.createElement("i"))?.click(),
    Enter: () => one("[data-open]", current() ?? document.createElement("i"))?.click(),
    x: () => one("input[name=id]", current() ?? document.createElement("i"))?.click(),
    r: resolve, e: () => press("e"),
    u: backToList, p: () => press("p"), n: () => press("n"), P: () => press("P"), N: () => press("N"),
    "[": () => press("p"), "]": () => press("n"), "{": () => press("P"), "}": () => press("N"),
    f: toggleFrames,
    y: () => copy(location.href),
    "/": () => { const box = one("[data-search]"); box?.focus(); box?.select(); },
    "?": () => one("#keys").showModal(),
  };
  let awaitsGo = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && inField) return event.target.blur();
    if (inField || one("dialog[open]")) return;
    if (event.key === "Enter" && event.target.closest("a, button, summary, input")) return;
    if (awaitsGo) {
      awaitsGo = false;
      const link = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") { awaitsGo = true; setTimeout(() => { awaitsGo = false; }, 1200); return; }
    const act = acts[event.key];
    if (act) { event.preventDefault(); act(); }
  });
})();
