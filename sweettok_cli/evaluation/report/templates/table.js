"use strict";
/* Tables sort by their headings, which are buttons; the table of clips can be narrowed by name. */
(() => {
  const table = document.getElementById("clip-table");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const collator = new Intl.Collator(undefined, { numeric: true });

  const valueOf = (row, column, isNumber) => {
    const cell = row.cells[column];
    if (!isNumber) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };

  const sort = (column, direction) => {
    const isNumber = heads[column].classList.contains("number");
    const rows = [...body.rows].map((row) => [valueOf(row, column, isNumber), row]);
    const sign = direction === "ascending" ? 1 : -1;
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // what is missing stays last
      return sign * (isNumber ? a - b : collator.compare(a, b));
    });
    body.append(...rows.map(([, row]) => row));
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", direction);
  };

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      sort(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    });
  });

  const filter = document.getElementById("clip-filter");
  if (!filter) return;
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let shown = 0;
    for (const row of body.rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    document.getElementById("clip-count").textContent = wanted ? `${shown} of ${body.rows.length}` : "";
  });
})();
