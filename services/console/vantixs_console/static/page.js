"use strict";
// Keeps the list in step with the server: a changed signal replaces its row, a new one goes on top.
const COLUMNS = ["receive_time", "webhook_id", "action", "instrument", "status", "filled_quantity", "average_price", "why"];
const labels = [...document.querySelectorAll("#signals th")].map((head) => head.textContent);
const body = document.querySelector("#signals tbody");
const live = document.querySelector("#live");
const showChange = (event) => {
  const signal = JSON.parse(event.data);
  const row = document.createElement("tr");
  row.dataset.id = signal.signal_id;
  for (const [number, name] of COLUMNS.entries()) {
    const cell = row.insertCell();
    cell.dataset.label = labels[number];
    if (name === "receive_time") {
      const link = document.createElement("a");
      link.href = "/signals/" + encodeURIComponent(signal.signal_id);
      link.textContent = signal[name];
      cell.append(link);
    } else if (name === "status") {
      const text = document.createElement("b");
      text.className = text.textContent = signal[name];
      cell.append(text);
      if (signal.replayed) { cell.append(" ", Object.assign(document.createElement("small"), { textContent: signal.replayed })); }
    } else {
      cell.textContent = signal[name];
    }
  }
  const old = [...body.rows].find((r) => r.dataset.id === signal.signal_id);
  if (old) { old.replaceWith(row); } else { body.prepend(row); }
  document.querySelector("#empty")?.remove();
  while (body.rows.length > 200) { body.deleteRow(-1); }
};
// Of a filtered list and of older pages a change is no part.
if ("live" in document.querySelector("#signals").dataset) {
  const source = new EventSource("/events");
  source.onopen = () => { live.hidden = false; };
  source.onerror = () => { live.hidden = true; };
  source.onmessage = showChange;
}

// A halt may come from a terminal or from a breaker, so the page asks for it again and again.
const restricted = document.querySelector("#restricted");
const show = (lines) => {
  restricted.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
};
setInterval(async () => {
  try {
    const answer = await fetch("/restrictions");
    if (!answer.ok) { throw new Error(`it answers ${answer.status}`); }
    show(await answer.json());
  } catch (error) {
    show([`Trading states are unknown: ${error.message}`]);
  }
}, 3000);
