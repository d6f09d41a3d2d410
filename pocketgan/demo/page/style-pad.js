// The style of networks that take one: a pad that spans two directions of the prior; another pair on demand.

const REACH = 2.5; // standard deviations from the middle to an edge

export class StylePad extends EventTarget {
  #x = 0;
  #y = 0;
  #axes = [];

  constructor(canvas, button, count) {
    super();
    this.canvas = canvas;
    this.count = count;
    this.#axes = axes(count);
    const place = (event) => {
      if (event.type === "pointermove" && event.buttons !== 1) return;
      const box = canvas.getBoundingClientRect();
      this.#to(((event.clientX - box.left) / box.width) * 2 - 1, ((event.clientY - box.top) / box.height) * 2 - 1);
    };
    canvas.addEventListener("pointerdown", place);
    canvas.addEventListener("pointermove", place);
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!by) return;
      event.preventDefault();
      this.#to(this.#x + by[0], this.#y + by[1]);
    });
    button.addEventListener("click", () => {
      this.#axes = axes(count);
      this.#to(this.#x, this.#y);
    });
    this.#to(0, 0);
  }

  /** The numbers that a network takes. */
  get style() {
    const [across, down] = this.#axes;
    return Float32Array.from({ length: this.count }, (_, i) => REACH * (this.#x * across[i] + this.#y * down[i]));
  }

  #to(x, y) {
    [this.#x, this.#y] = [x, y].map((each) => Math.min(1, Math.max(-1, each)));
    const { width, height } = this.canvas, context = this.canvas.getContext("2d");
    const colours = getComputedStyle(this.canvas);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = context.fillStyle = colours.color;
    context.globalAlpha = 0.3;
    context.strokeRect(width / 2, 0, 0, height);
    context.strokeRect(0, height / 2, width, 0);
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(((this.#x + 1) / 2) * width, ((this.#y + 1) / 2) * height, 8, 0, 7);
    context.fill();
    this.canvas.setAttribute("aria-valuetext", `${this.#x.toFixed(1)}, ${this.#y.toFixed(1)}`);
    this.dispatchEvent(new Event("change"));
  }
}

/** Two directions at a right angle, drawn anew. */
function axes(count) {
  const draw = () => Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(6.2832 * Math.random()));
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const unit = (a) => a.map((value) => value / Math.sqrt(dot(a, a)));
  const first = unit(draw()), second = draw(), along = dot(first, second);
  return [first, count > 1 ? unit(second.map((value, i) => value - along * first[i])) : [0]];
}
