// The slider along the front: one notch a subnet, the cheapest left.

import { megabytes, si } from "./figures.js";

export function showBudget(place, about, start, choose) {
  const [slider, text] = [place.querySelector("input"), place.querySelector("output")];
  const tell = (model) => {
    const parts = [model.title, `${si(model.macs)} MACs`, `${si(model.params)} parameters`, megabytes(model.bytes)];
    if (model.score) parts.push(model.score);
    text.textContent = parts.join(" · ");
    slider.setAttribute("aria-valuetext", text.textContent);
  };
  place.hidden = about.front.length < 2;
  slider.max = about.front.length - 1;
  slider.value = about.front.indexOf(start);
  slider.addEventListener("input", () => {
    const model = about.front[slider.value];
    tell(model);
    choose(model);
  });
  tell(start);
}
