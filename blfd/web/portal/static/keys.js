// The rows of a phone's keys are moved: by their buttons, by Alt and an arrow, or by their handle.
"use strict";

for (const list of document.querySelectorAll(".key-rows")) {
  const said = document.createElement("p");
  said.className = "hidden";
  said.setAttribute("role", "status");
  list.after(said);

  // What a row is called follows its place.
  const number = () => [...list.children].forEach((row, at) => {
    for (const field of row.querySelectorAll("[aria-label]")) {
      field.setAttribute("aria-label", field.getAttribute("aria-label").replace(/^Key \d+/, `Key ${at + 1}`));
    }
  });
  const place = (row) => [...list.children].indexOf(row) + 1;
  const tell = (row) => {
    number();
    said.textContent = `Key ${place(row)} of ${list.children.length} now`;
  };
  // The other row goes around this one, which so keeps the focus.
  const move = (row, step) => {
    const other = step < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (step < 0) row.after(other); else row.before(other);
    tell(row);
  };

  const button = (row, sign, what, step) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "plain move";
    made.textContent = sign;
    made.setAttribute("aria-label", `Key ${place(row)}: ${what}`);
    made.addEventListener("click", () => move(row, step));
    row.append(" ", made);
  };
  let dragged = null;
  for (const row of list.children) {
    button(row, "↑", "move up", -1);
    button(row, "↓", "move down", 1);
    const handle = document.createElement("span");
    handle.className = "handle";
    handle.draggable = true;
    handle.title = "Drag the key to its place";
    handle.textContent = "⠿";
    handle.addEventListener("dragstart", (event) => {
      dragged = row;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setDragImage(row, 0, 0);
    });
    handle.addEventListener("dragend", () => { dragged = null; });
    row.prepend(handle, " ");
  }
  list.addEventListener("dragover", (event) => {
    const over = event.target.closest("li");
    if (!dragged || !over) return;
    event.preventDefault();
    if (over === dragged) return;
    if (place(over) < place(dragged)) over.before(dragged); else over.after(dragged);
    tell(dragged);
  });
  list.addEventListener("drop", (event) => { if (dragged) event.preventDefault(); });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || !event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(event.target.closest("li"), step);
  });
}
