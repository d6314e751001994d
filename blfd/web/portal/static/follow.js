// Lamps as they change, by server-sent events.
"use strict";

// `on` has a function for each kind of event. A browser has six connections to a server for all its tabs,
// so a tab that nobody sees lets go of its own; when it is seen again, it is told all lamps anew.
const follow = (address, on) => {
  let source = null;
  const open = () => {
    source = new EventSource(address);
    for (const [kind, act] of Object.entries(on)) source.addEventListener(kind, act);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000); // refused: the page says why
    });
  };
  const look = () => {
    if (!document.hidden && !source) open();
    if (document.hidden && source) { source.close(); source = null; }
  };
  document.addEventListener("visibilitychange", look);
  look();
};

const rowsOf = (event) => JSON.parse(event.data);

// <div data-lamps="ADDRESS">: in there, what has data-lamp-of="102" shows that lamp.
for (const place of document.querySelectorAll("[data-lamps]")) {
  const show = (event) => {
    for (const row of rowsOf(event)) {
      for (const one of place.querySelectorAll(`[data-lamp-of="${CSS.escape(row.extension)}"]`)) {
        one.dataset.lamp = row.lamp;
        one.querySelector(".lamp").textContent = row.lamp;
      }
    }
  };
  follow(place.dataset.lamps, { lamps: show, lamp: show });
}
