// Makes pages quicker to use; every one of them works without.
"use strict";
document.documentElement.classList.add("js");

// <input data-filter="#table">: shows the rows that hold what is typed.
for (const field of document.querySelectorAll("[data-filter]")) {
  const rows = document.querySelectorAll(`${field.dataset.filter} tbody tr`);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

// "/" leads to the search of a page.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = [...document.querySelectorAll("input[type=search]")].find((one) => one.offsetParent);
  if (field) { event.preventDefault(); field.focus(); field.select(); }
});

// <input data-suggest="ADDRESS">: extensions with what is typed in number or name; data-many: the last one between commas.
let suggesters = 0;
for (const field of document.querySelectorAll("[data-suggest]")) {
  const list = document.createElement("datalist");
  list.id = `suggested-${suggesters += 1}`;
  field.after(list);
  field.setAttribute("list", list.id);
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const parts = field.dataset.many === undefined ? [field.value] : field.value.split(",");
      const last = parts.pop().trim();
      const before = parts.map((part) => `${part.trim()}, `).join("");
      const answer = await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(last)}`);
      if (!answer.ok || answer.redirected) return;
      const rows = last ? await answer.json() : [];
      list.replaceChildren(...rows.map((row) => new Option(row.label, before + row.value)));
    }, 150);
  });
}

// <input data-enter="#button">: Enter presses that button, not the first of the form.
for (const field of document.querySelectorAll("[data-enter]")) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    document.querySelector(field.dataset.enter).click();
  });
}

// <select data-go>: its options are addresses.
for (const choice of document.querySelectorAll("select[data-go]")) {
  choice.addEventListener("change", () => { location.href = choice.value; });
}

// <input type=checkbox data-tick="row">: ticks all of that name in its form.
for (const box of document.querySelectorAll("[data-tick]")) {
  const others = box.form.querySelectorAll(`input[name="${box.dataset.tick}"]`);
  box.form.addEventListener("change", (event) => {
    if (event.target === box) for (const other of others) other.checked = box.checked;
    const ticked = [...others].filter((other) => other.checked).length;
    box.checked = ticked === others.length;
    box.indeterminate = ticked > 0 && ticked < others.length;
  });
}

// <select data-send>: its form is sent when one has chosen.
for (const choice of document.querySelectorAll("select[data-send]")) {
  choice.addEventListener("change", () => choice.form.submit());
}

// A group's members: each row's boxes say the same, whichever of them are shown.
for (const members of document.querySelectorAll("#members")) {
  const apart = members.querySelector(".apart");
  const unseen = members.querySelector("#unseen");
  const tell = () => {
    const shown = apart.checked ? ".one input:checked" : ".both input:checked";
    const hidden = members.querySelectorAll(`tr[hidden]:has(${shown})`).length;
    unseen.hidden = !hidden;
    unseen.textContent = `${hidden} more ${hidden === 1 ? "is" : "are"} ticked, which the search hides.`;
  };
  members.addEventListener("input", tell);
  members.addEventListener("change", (event) => {
    const row = event.target.closest("tbody tr");
    if (row) {
      const [member, picks, picked] = row.querySelectorAll("input");
      if (event.target === member) picks.checked = picked.checked = member.checked;
      else member.checked = picks.checked && picked.checked;
    }
    tell();
  });
}

// Tabs: links to sections, of which one is shown at a time.
for (const tabs of document.querySelectorAll(".tabs")) {
  const links = [...tabs.querySelectorAll(".tablist a")];
  const show = (chosen) => {
    for (const link of links) {
      const mine = link === chosen;
      link.setAttribute("aria-selected", mine);
      link.tabIndex = mine ? 0 : -1;
      tabs.querySelector(link.hash).hidden = !mine;
    }
  };
  tabs.querySelector(".tablist").setAttribute("role", "tablist");
  links.forEach((link, at) => {
    link.setAttribute("role", "tab");
    tabs.querySelector(link.hash).setAttribute("role", "tabpanel");
    link.addEventListener("click", (event) => { event.preventDefault(); show(link); });
    link.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const next = links[(at + step + links.length) % links.length];
      show(next);
      next.focus();
    });
  });
  tabs.addEventListener("invalid", (event) => {
    const section = event.target.closest("section");
    show(links.find((link) => link.hash === `#${section.id}`));
  }, true);
  show(links.find((link) => link.hash === tabs.dataset.open) || links[0]);
}

// <details class="choose">: a menu that opens over the page, and closes with Esc, or when one does something beside it.
for (const menu of document.querySelectorAll("details.choose")) {
  const leave = (event) => { if (!menu.contains(event.target)) menu.open = false; };
  document.addEventListener("pointerdown", leave);
  document.addEventListener("focusin", leave);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  });
}
