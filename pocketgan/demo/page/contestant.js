// One network on the page: its picture, and its figures over the last frames.

import { decodeImage } from "./encode.js";
import { median, megabytes, milliseconds, showFigures, si } from "./figures.js";

const KEPT = 15;

export class Contestant {
  planes = null;
  image = null;
  #times = [];

  constructor(canvas, list, size) {
    [this.height, this.width] = size;
    [canvas.height, canvas.width] = size;
    this.context = canvas.getContext("2d");
    this.list = list;
  }

  /** The network whose picture is shown from now on. */
  set model(model) {
    this.current = model;
    this.#times = [];
    this.#figures();
  }

  get model() {
    return this.current;
  }

  /** Shows what the network made; `pageTime`: milliseconds of a frame that were not the network's. */
  show(answer, pageTime) {
    const start = performance.now();
    this.planes = answer.planes;
    this.image = decodeImage(answer.planes, this.height, this.width);
    this.context.putImageData(this.image, 0, 0);
    this.#times.push({ run: answer.run, page: pageTime + answer.encode + performance.now() - start });
    if (this.#times.length > KEPT) this.#times.shift();
    this.#figures();
  }

  /** Milliseconds of the network and of the page in a frame, medians of the last frames; null before the first. */
  get times() {
    if (!this.#times.length) return null;
    return { run: median(this.#times.map((each) => each.run)), page: median(this.#times.map((each) => each.page)) };
  }

  #figures() {
    const times = this.times, model = this.current;
    showFigures(this.list, [
      ["a frame", times ? milliseconds(times.run) : "–"],
      ["frames/s", times ? (1000 / (times.run + times.page)).toFixed(times.run > 100 ? 1 : 0) : "–"],
      ["MACs", si(model.macs)],
      ["file", megabytes(model.bytes)],
    ]);
    if (times) Object.assign(this.list.dataset, { run: times.run, page: times.page });
  }
}
