// Enhancements only: the page says the same without them.
(() => {
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const make = (name) => document.createElement(name);

  // Day or night, remembered.
  let stored;
  try { stored = localStorage.tone; } catch {}
  for (const radio of all("input[name=tone]")) {
    if (radio.value === stored) radio.checked = true;
    radio.onchange = () => { try { localStorage.tone = radio.value; } catch {} };
  }

  // Scorecards sort by their headings.
  const value = (row, at) => {
    const text = row.cells[at].textContent.trim().toLowerCase().replace(/^~|,/g, "");
    return isNaN(parseFloat(text)) ? text : parseFloat(text);
  };
  const order = (a, b) => (typeof a > typeof b) - (typeof a < typeof b) || (a > b) - (a < b);
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, at) => {
      const button = make("button");
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.onclick = () => {
        const turn = head.ariaSort === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
        const rows = all("tbody tr", table).sort((a, b) => turn * order(value(a, at), value(b, at)));
        table.tBodies[0].append(...rows);
      };
    });
  }

  // A curve is read off its drawing, by a slider (keys, touch) or under the pointer.
  // data-scale: where the axes meet, what their units stand for, the lowest value.
  const numbers = (text) => text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
  const near = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
  for (const svg of all("[data-read] svg")) {
    const figure = svg.parentNode;
    const [left, bottom, across, up, low] = numbers(svg.dataset.scale);
    const places = Math.max(0, -Math.ceil(Math.log10(up)));
    const add = (name, before, marks) => Object.assign(figure.insertBefore(make(name), before), marks);
    const lines = all(".line", svg).map((path) => {
      const key = figure.querySelector(".key." + path.classList[1]);
      const name = key.textContent.split(":")[0];
      const at = key.appendChild(make("b"));
      const d = numbers(path.getAttribute("d"));
      const points = [d.slice(0, 2)];
      for (let i = 2, [x, y] = d; i + 1 < d.length; i += 2) points.push([x += d[i], y += d[i + 1]]);
      return { at, name, points };
    });
    const own = lines.at(-1)?.points; // drawn last, on top
    if (!own) continue;
    const cursor = svg.appendChild(svg.querySelector(".base").cloneNode());
    const slider = add("input", svg.nextSibling, { type: "range", ariaLabel: figure.dataset.read, max: own.length - 1, value: own.length });
    const place = add("output", slider.nextSibling);
    const show = () => {
      const x = own[slider.value][0];
      place.value = figure.dataset.at + " ≈ " + Math.round((x - left) * across).toLocaleString("en");
      cursor.setAttribute("d", `M${x} 40V${bottom}`);
      slider.ariaValueText = place.value + lines.map(({ at, name, points }) => {
        const [px, py] = near(points, x);
        const far = Math.abs(px - x) > 15 || py < -9998; // nothing here
        at.textContent = far ? "" : (low + (bottom - py) * up).toFixed(places);
        return far ? "" : `, ${name} ${at.textContent}`;
      }).join("");
    };
    slider.oninput = slider.onfocus = show;
    svg.onpointermove = svg.onpointerdown = (e) => {
      const box = svg.getBoundingClientRect();
      slider.value = own.indexOf(near(own, ((e.clientX - box.x) / box.width) * svg.viewBox.baseVal.width));
      show();
    };
    const full = add("button", svg, { className: "full", ariaLabel: figure.dataset.full });
    full.onclick = () => {
      figure.popover ??= "auto";
      figure.togglePopover();
    };
    figure.ontoggle = (e) => { if (e.newState === "closed") figure.popover = null; };
  }
})();
