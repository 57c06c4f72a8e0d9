"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("frame");
  const last = data.frames[data.frames.length - 1];

  /* The place of the last frame that is not after this one; -1 where there is none. */
  const upTo = (frames, frame) => frames.filter((f) => f <= frame).length - 1;

  const text = (value) => {
    if (value === null || value === undefined) return "-";
    if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(0);
    return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
  };

  function showCharts(section, run, place) {
    const frame = place < 0 ? 0 : run.frames[place];
    const { left, right, top, bottom } = data.area;
    const x = left + (last ? frame / last : 0) * (right - left);
    section.querySelectorAll(".chart").forEach((figure, at) => {
      figure.querySelector(".cursor").setAttribute("d", `M${x.toFixed(1)} ${top}V${bottom}`);
      const values = at === 0
        ? [run.returns[place] ?? "-"]
        : Object.values(run.charts[at]).map((curve) => text(curve[place]));
      figure.querySelector(".reading").textContent = values.join(" · ");
    });
  }

  function showCell(cell, r2, atoms, best) {
    const none = r2 === null;
    cell.className = [
      none && "none", !none && r2 < 0 && "below", r2 > 0.45 && "high", best && "best",
    ].filter(Boolean).join(" ");
    cell.style.setProperty("--v", none ? 0 : Math.min(Math.max(r2, 0), 1));
    cell.textContent = none ? "-" : r2 < 0 ? "<0" : r2.toFixed(2);
    if (!none && atoms !== null) {
      const small = document.createElement("small");
      small.textContent = atoms;
      cell.append(" ", small);
    }
  }

  function showHeat(section, heat, frame) {
    const at = Math.max(upTo(heat.frames, frame), 0);
    section.querySelector(".heat-frame").textContent = heat.frames[at].toLocaleString("en");
    section.querySelectorAll(".heat tbody tr").forEach((row, component) => {
      const values = heat.r2[at][component];
      const best = Math.max(...values.filter((value) => value !== null));
      const chosen = best > 0 ? values.indexOf(best) : -1;
      row.querySelectorAll("td").forEach((cell, layer) => {
        showCell(cell, values[layer], heat.atoms && heat.atoms[at][component][layer], layer === chosen);
      });
    });
  }

  function show() {
    const frame = data.frames[Number(slider.value)];
    const shown = frame.toLocaleString("en");
    document.getElementById("frame-value").textContent = shown;
    slider.setAttribute("aria-valuetext", `frame ${shown}`);
    data.runs.forEach((run, which) => {
      const place = upTo(run.frames, frame);
      const section = document.querySelector(`section.run[data-run="${which}"]`);
      const row = document.querySelector(`tr[data-run="${which}"]`);
      row.querySelector(".now").textContent = run.returns[place] ?? "-";
      row.querySelector(".then").textContent = run.phases[place] || "-";
      showCharts(section, run, place);
      if (run.heat) showHeat(section, run.heat, frame);
    });
  }

  slider.addEventListener("input", show);
  slider.form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
