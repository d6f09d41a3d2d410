// The palette: one button a colour, with its name.

export function showPalette(place, drawing) {
  const buttons = drawing.paints.map((paint) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "radio");
    const colour = document.createElement("i");
    colour.style.background = `rgb(${paint.colour.join(",")})`;
    button.append(colour, paint.name);
    button.addEventListener("click", () => choose(paint));
    return button;
  });
  const choose = (paint) => {
    if (paint !== drawing.paint) drawing.nextInstance();
    drawing.paint = paint;
    buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(drawing.paints[i] === paint));
      button.tabIndex = drawing.paints[i] === paint ? 0 : -1;
    });
  };
  place.replaceChildren(...buttons);
  place.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = (drawing.paints.indexOf(drawing.paint) + by + buttons.length) % buttons.length;
    choose(drawing.paints[next]);
    buttons[next].focus();
  });
  choose(drawing.paint);
}
