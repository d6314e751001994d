// The lamp board: tiles follow server-sent events; one that has not changed is not touched.
"use strict";
const board = document.getElementById("board");

if (board) {
  const down = document.getElementById("board-down");
  const search = document.getElementById("board-search");
  const busy = document.getElementById("board-busy");
  const empty = document.getElementById("board-empty");
  // A board has one section, or one for each group; who is in several groups has a tile in each.
  const headings = [...board.querySelectorAll(".of")];
  const sections = headings.length ? headings.map((heading) => ({
    name: heading.dataset.section,
    members: new Set(heading.dataset.members.split(",")),
    tiles: new Map(),
  })) : [{ name: undefined, tiles: new Map() }];
  for (const section of sections) {
    for (const tile of board.querySelectorAll(".tile")) {
      if (tile.dataset.of === section.name) section.tiles.set(tile.dataset.extension, tile);
    }
    section.own = new Set(section.tiles.keys());
  }
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

  const add = (extension, section) => {
    const tile = document.createElement("li");
    tile.className = "tile";
    tile.dataset.extension = extension;
    if (section.name !== undefined) tile.dataset.of = section.name;
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
    const last = [...section.tiles.values()].pop() || headings.find((one) => one.dataset.section === section.name);
    if (last) last.after(tile); else board.append(tile);
    section.tiles.set(extension, tile);
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
    const mine = (other) => other && other.classList.contains("tile") && other.dataset.of === tile.dataset.of;
    const next = tile.nextElementSibling;
    const before = tile.previousElementSibling;
    if ((!mine(next) || order(tile, next) <= 0) && (!mine(before) || order(before, tile) <= 0)) return;
    const others = [...board.children].filter((other) => other !== tile && mine(other));
    const after = others.find((other) => order(other, tile) > 0);
    if (after) after.before(tile); else others.pop().after(tile);
  };

  // Of thousands a page shows some. Who is on another page comes here for as long as there is a call.
  const guests = board.dataset.guests !== undefined;
  const everybody = board.dataset.everybody !== undefined;
  const isEmpty = () => sections.every((section) => !section.tiles.size);
  const drop = (extension, section) => {
    const tile = section.tiles.get(extension);
    if (tile) { tile.remove(); section.tiles.delete(extension); }
    if (empty) empty.hidden = !isEmpty();
  };

  const showIn = (section, row) => {
    const belongs = section.name === undefined || section.members.has(row.extension);
    if (!everybody && !section.own.has(row.extension)
        && (!guests || !belongs || quiet.includes(row.lamp))) {
      drop(row.extension, section);
      return;
    }
    if (empty) empty.hidden = true;
    const tile = section.tiles.get(row.extension) || add(row.extension, section);
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
  const show = (row) => sections.forEach((section) => showIn(section, row));

  const showAll = (event) => {
    const rows = rowsOf(event);
    const there = new Set(rows.map((row) => row.extension));
    for (const section of sections) {
      for (const extension of [...section.tiles.keys()]) {
        if (!there.has(extension)) drop(extension, section);
      }
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
  const far = board.dataset.pages !== undefined || headings.length || search.value !== "" || busy.checked;
  const all = () => sections.flatMap((section) => [...section.tiles.values()]);
  const chooseAll = () => all().forEach(choose);
  search.addEventListener("input", chooseAll);
  busy.addEventListener("change", () => { if (far) busy.form.submit(); else chooseAll(); });
  if (!far) search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  setInterval(() => {
    for (const tile of all()) {
      if (tile.began) tile.querySelector(".since").textContent = clock((performance.now() - tile.began) / 1000);
    }
  }, 1000);
}
