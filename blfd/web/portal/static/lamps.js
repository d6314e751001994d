// The lamp board: tiles follow server-sent events; one that has not changed is not touched.
"use strict";
const board = document.getElementById("board");

if (board) {
  const down = document.getElementById("board-down");
  const search = document.getElementById("board-search");
  const busy = document.getElementById("board-busy");
  const empty = document.getElementById("board-empty");
  const tiles = new Map([...board.children].map((tile) => [tile.dataset.extension, tile]));
  const quiet = ["", "idle", "do not disturb", "not registered", "unknown"];

  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  };

  const piece = (tile, kind, name) => {
    const found = document.createElement(kind);
    found.className = name;
    tile.append(found);
    return found;
  };

  const add = (extension) => {
    const tile = document.createElement("li");
    tile.className = "tile";
    tile.dataset.extension = extension;
    const explain = board.dataset.explain;
    const number = piece(tile, explain ? "a" : "span", "number");
    number.textContent = extension;
    if (explain) number.href = explain + encodeURIComponent(extension);
    piece(tile, "bdi", "name");
    const state = piece(tile, "span", "state");
    piece(state, "span", "dot").setAttribute("aria-hidden", "true");
    state.append(" ");
    piece(state, "span", "word");
    state.append(" ");
    piece(state, "span", "since");
    piece(tile, "span", "party");
    board.append(tile);
    tiles.set(extension, tile);
    return tile;
  };

  const party = (dialog) => {
    if (dialog.remote === undefined) return "";
    return `${dialog.direction === "initiator" ? "→" : "←"} ${dialog.remote} ${dialog.remote_name}`.trim();
  };

  const choose = (tile) => {
    const wanted = search.value.trim().toLowerCase();
    const named = tile.textContent.toLowerCase().includes(wanted);
    tile.hidden = !named || (busy.checked && quiet.includes(tile.dataset.lamp));
  };

  // Calls first, then by number: where a tile belongs among those that are there.
  const order = (one, other) =>
    quiet.includes(one.dataset.lamp) - quiet.includes(other.dataset.lamp)
    || one.dataset.extension.localeCompare(other.dataset.extension, "en", { numeric: true });
  const place = (tile) => {
    const next = tile.nextElementSibling;
    const before = tile.previousElementSibling;
    if ((!next || order(tile, next) <= 0) && (!before || order(before, tile) <= 0)) return;
    const after = [...board.children].find((other) => other !== tile && order(other, tile) > 0);
    board.insertBefore(tile, after || null);
  };

  // Of thousands a page shows some. Who is on another page comes here for as long as there is a call.
  const guests = board.dataset.guests !== undefined;
  const everybody = board.dataset.everybody !== undefined;
  const own = new Set(tiles.keys());
  const drop = (extension) => {
    const tile = tiles.get(extension);
    if (tile) { tile.remove(); tiles.delete(extension); }
    if (empty) empty.hidden = tiles.size > 0;
  };

  const show = (row) => {
    if (!everybody && !own.has(row.extension) && (!guests || quiet.includes(row.lamp))) {
      drop(row.extension);
      return;
    }
    if (empty) empty.hidden = true;
    const tile = tiles.get(row.extension) || add(row.extension);
    tile.dataset.lamp = row.lamp;
    tile.querySelector(".name").textContent = row.name;
    tile.querySelector(".word").textContent = row.lamp;
    tile.querySelector(".party").textContent = row.dialogs.map(party).filter(Boolean).join(", ");
    const since = row.dialogs.length ? row.dialogs[0].since : null;
    tile.began = since === null ? null : performance.now() - since * 1000;
    tile.querySelector(".since").textContent = since === null ? "" : clock(since);
    choose(tile);
    if (!board.contains(document.activeElement)) place(tile);
  };

  const showAll = (event) => {
    const rows = rowsOf(event);
    const there = new Set(rows.map((row) => row.extension));
    for (const extension of [...tiles.keys()]) {
      if (!there.has(extension)) drop(extension);
    }
    rows.forEach(show);
    down.hidden = true;
  };
  const warn = () => { down.hidden = false; };
  follow(board.dataset.events, {
    lamps: showAll,
    lamp: (event) => rowsOf(event).forEach(show),
    down: warn,
    error: warn,
    open: () => { board.dataset.live = "yes"; },
  });

  // What is here is chosen at once; what is on other pages, the server looks for.
  const far = board.dataset.pages !== undefined || search.value !== "" || busy.checked;
  const chooseAll = () => tiles.forEach(choose);
  search.addEventListener("input", chooseAll);
  busy.addEventListener("change", () => { if (far) busy.form.submit(); else chooseAll(); });
  if (!far) search.form.addEventListener("submit", (event) => event.preventDefault());
  setInterval(() => {
    for (const tile of tiles.values()) {
      if (tile.began) tile.querySelector(".since").textContent = clock((performance.now() - tile.began) / 1000);
    }
  }, 1000);
}
