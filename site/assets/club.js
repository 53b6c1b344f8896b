// Enhancements only: the page says the same without them. Remembers day or night; sorts a scorecard by a heading.
(() => {
  const key = "tone";
  const read = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (tone) => { try { localStorage.setItem(key, tone); } catch { /* private window: not remembered */ } };
  for (const radio of document.querySelectorAll("input[name=tone]")) {
    if (radio.value === read()) radio.checked = true;
    radio.addEventListener("change", () => keep(radio.value));
  }

  const value = (row, at) => {
    const text = row.cells[at].textContent.trim().replace(/^~/, "");
    const number = parseFloat(text.replace(/,/g, ""));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const order = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const turn = head.ariaSort === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => turn * order(value(a, at), value(b, at)));
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
