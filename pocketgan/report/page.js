// Figures at the points of a plot, and pictures side by side under a curtain. Without this the page shows all it has.
"use strict";
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

// -- figures of a point, for the pointer, the finger and the keyboard
const tip = make("div", { className: "tip", hidden: true });
document.body.append(tip);
for (const spot of document.querySelectorAll(".hit")) {
  const text = spot.querySelector("title").textContent;
  spot.querySelector("title").remove(); // the browser's own comes late, and not at all under a finger
  spot.setAttribute("aria-label", text.replaceAll("\n", ", "));
  spot.setAttribute("role", "img");
  spot.setAttribute("tabindex", "0");
  const show = () => {
    tip.textContent = text;
    tip.hidden = false;
    const at = spot.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - own.width / 2;
    tip.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - own.width - 8))}px`;
    tip.style.top = `${at.top - own.height - 8 > 0 ? at.top - own.height - 8 : at.bottom + 8}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const event of ["pointerenter", "focus"]) spot.addEventListener(event, show);
  for (const event of ["pointerleave", "blur"]) spot.addEventListener(event, hide);
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// -- a row of pictures, large: one over another, and what is left of the curtain is the first
const rows = [...document.querySelectorAll(".shots")];
if (rows.length) {
  const name = make("b"), first = make("select", { ariaLabel: "Left" }), second = make("select", { ariaLabel: "Right" });
  const under = make("img", { alt: "" }), over = make("img", { alt: "" }), edge = make("i");
  const pair = make("div", { className: "pair" }, under, over, edge);
  const place = make("div", { className: "place" }, pair);
  const curtain = make("input", { type: "range", min: 0, max: 100, value: 50, ariaLabel: "Curtain" });
  const button = (text, label, action) => make("button", { type: "button", textContent: text, ariaLabel: label, onclick: action });
  const viewer = make("dialog", { className: "viewer", ariaLabel: "Pictures side by side" });
  let at = 0, zoom = 1;

  const draw = () => {
    const images = [...rows[at].querySelectorAll("img")];
    const [left, right] = [images[first.value], images[second.value]];
    [over.src, under.src] = [left.src, right.src];
    name.textContent = rows[at].dataset.name;
    const width = Number(left.getAttribute("width")), height = Number(left.getAttribute("height"));
    const fit = Math.min(place.clientWidth / width, place.clientHeight / height);
    pair.style.width = `${width * fit * zoom}px`;
    pair.style.height = `${height * fit * zoom}px`;
    pair.classList.toggle("coarse", fit * zoom >= 2); // a blur of the enlargement must not pass for one of the model
    over.style.clipPath = `inset(0 ${100 - curtain.value}% 0 0)`;
    edge.style.left = `${curtain.value}%`;
  };
  const choices = (chosen) => {
    const titles = [...rows[at].querySelectorAll("figcaption")].map((each) => each.textContent);
    for (const [list, value] of [[first, chosen[0]], [second, chosen[1]]]) {
      list.replaceChildren(...titles.map((text, value) => make("option", { value, textContent: text })));
      list.value = Math.min(value, titles.length - 1);
    }
  };
  const go = (step) => {
    const chosen = [first.value, second.value];
    at = (at + step + rows.length) % rows.length;
    choices(chosen);
    draw();
  };
  const magnify = (factor) => {
    const middle = [(place.scrollLeft + place.clientWidth / 2) / zoom, (place.scrollTop + place.clientHeight / 2) / zoom];
    zoom = Math.min(8, Math.max(1, zoom * factor));
    draw();
    place.scrollTo(middle[0] * zoom - place.clientWidth / 2, middle[1] * zoom - place.clientHeight / 2);
  };
  const open = (row, column) => {
    [at, zoom, curtain.value] = [row, 1, 50];
    const last = rows[row].querySelectorAll("img").length - 1;
    choices([column, column < last ? last : Math.max(0, last - 1)]);
    viewer.showModal();
    draw();
  };
  viewer.append(
    make("div", { className: "tools" }, name, first, make("span", { textContent: "left of the curtain, right" }), second,
      button("−", "Smaller", () => magnify(0.5)), button("+", "Larger", () => magnify(2)),
      button("‹", "The row before", () => go(-1)), button("›", "The next row", () => go(1)),
      button("×", "Close", () => viewer.close())),
    place, curtain);
  document.body.append(viewer);
  curtain.oninput = first.onchange = second.onchange = draw;
  const pull = (event) => {
    if (event.pointerType === "touch" && zoom > 1) return; // a finger moves the enlarged picture
    const box = pair.getBoundingClientRect();
    curtain.value = 100 * (event.clientX - box.left) / box.width;
    draw();
  };
  pair.addEventListener("pointerdown", pull);
  pair.addEventListener("pointermove", (event) => { if (event.buttons) pull(event); });
  viewer.addEventListener("keydown", (event) => {
    if (event.target === first || event.target === second || event.target === curtain) return;
    if (event.key === "ArrowLeft") go(-1);
    if (event.key === "ArrowRight") go(1);
    if (event.key === "+") magnify(2);
    if (event.key === "-") magnify(0.5);
  });
  addEventListener("resize", () => { if (viewer.open) draw(); });
  rows.forEach((row, place) => row.querySelectorAll("img").forEach((image, column) => {
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.onclick = () => open(place, column);
    image.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(place, column); } };
  }));
  for (const hint of document.querySelectorAll(".hint")) hint.hidden = false;
}
