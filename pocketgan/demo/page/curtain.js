// Another picture over the output, up to a line that is dragged.

export class Curtain {
  constructor(canvas, slider, size) {
    [canvas.height, canvas.width] = size;
    this.canvas = canvas;
    this.slider = slider;
    this.context = canvas.getContext("2d");
    slider.addEventListener("input", () => this.#cut());
    const frame = canvas.parentElement;
    const drag = (event) => {
      if (canvas.hidden || event.buttons !== 1 || event.target === slider) return;
      const box = frame.getBoundingClientRect();
      slider.value = ((event.clientX - box.left) / box.width) * 100;
      this.#cut();
    };
    frame.addEventListener("pointerdown", drag);
    frame.addEventListener("pointermove", drag);
  }

  /** Draws it with that picture, or takes it away where there is none. */
  show(image) {
    this.canvas.hidden = this.slider.hidden = !image;
    if (!image) return;
    this.context.putImageData(image, 0, 0);
    this.#cut();
  }

  #cut() {
    const from = 100 - this.slider.value;
    this.canvas.style.clipPath = `inset(0 ${from}% 0 0)`;
    this.canvas.style.filter = "none";
  }
}
