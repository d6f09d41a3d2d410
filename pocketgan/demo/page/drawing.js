// The input: its pixels as they are stored, how they look, and what hands do to them.

import { edges, instanceAt } from "./encode.js";
import { fitted } from "./pictures.js";
import { fill, filled, imageOf, stroke } from "./pixels.js";
import { History } from "./history.js";

export class Drawing extends EventTarget {
  tool = "brush";
  size = 6;
  paint = null;
  active = false;
  #history = new History();
  #instance = 1;
  #cursor = null;
  #last = null;

  constructor(canvas, about) {
    super();
    [this.height, this.width] = about.size;
    this.canvas = canvas;
    this.labels = about.labels;
    this.gray = about.channels === 1;
    this.paints = about.paints;
    this.paint = farthest(this.paints);
    canvas.width = this.width;
    canvas.height = this.height;
    this.context = canvas.getContext("2d");
    this.colours = [];
    for (const paint of this.paints) this.colours[paint.label] = paint.colour;
    this.pixels = this.#empty();
    this.#hear();
    this.show();
  }

  /** Puts other pixels in place; `kept`: whether undo brings back the old ones. */
  replace(pixels, kept = true) {
    if (kept) this.#history.remember(this.pixels);
    this.pixels = pixels.slice();
    this.nextInstance();
    this.#changed();
  }

  /** Puts the middle of a picture in place, as this task stores it. */
  take(picture, kept = true) {
    this.replace(this.#stored(fitted(picture, this.height, this.width, !this.labels)), kept);
  }

  clear() {
    this.replace(this.#empty());
  }

  undo() {
    this.#step(this.#history.undo(this.pixels));
  }

  redo() {
    this.#step(this.#history.redo(this.pixels));
  }

  get canUndo() {
    return this.#history.canUndo;
  }

  get canRedo() {
    return this.#history.canRedo;
  }

  /** What is painted from now on is another object, where the network sees the edges of objects. */
  nextInstance() {
    if (!this.labels?.instances) return;
    const taken = new Set();
    for (let i = 0; i < this.width * this.height; i++) taken.add(instanceAt(this.pixels, i));
    for (this.#instance = 1; this.#instance < 65535 && taken.has(this.#instance); ) this.#instance++;
  }

  /** The pixels for the eye: label maps in the colours of their classes, the edges of objects darker. */
  image(pixels = this.pixels) {
    if (!this.labels) return imageOf(pixels, this.height, this.width);
    const coloured = new Uint8Array(pixels.length);
    const lines = this.labels.instances ? edges(pixels, this.height, this.width) : null;
    for (let i = 0; i < pixels.length / 3; i++) {
      const colour = this.colours[pixels[i * 3]];
      if (colour) for (let c = 0; c < 3; c++) coloured[i * 3 + c] = colour[c] * (lines?.[i] ? 0.45 : 1);
    }
    return imageOf(coloured, this.height, this.width);
  }

  show() {
    this.context.putImageData(this.image(), 0, 0);
    if (this.#cursor) {
      const { x, y } = this.#cursor, half = Math.max(2, this.size / 2);
      this.context.strokeStyle = "#f0f";
      this.context.strokeRect(x - half, y - half, 2 * half, 2 * half);
    }
  }

  #empty() {
    return filled(this.height, this.width, this.paints.length ? this.#value(this.paints[0], 0) : [128, 128, 128]);
  }

  /** Pixels as this task stores them: gray, or for label maps the class of the nearest colour, or the class itself
   * where a picture holds nothing but gray with the numbers of classes. */
  #stored(rgb) {
    const pixels = new Uint8Array(rgb.length);
    const known = new Set(this.paints.map((paint) => paint.label));
    const numbers = this.labels && rgb.every((value, i) => known.has(value) && value === rgb[i - (i % 3)]);
    const found = new Map();
    for (let i = 0; i < rgb.length; i += 3) {
      const [red, green, blue] = [rgb[i], rgb[i + 1], rgb[i + 2]];
      if (!this.labels) {
        const gray = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
        for (let c = 0; c < 3; c++) pixels[i + c] = this.gray ? gray : rgb[i + c];
        continue;
      }
      const key = (red << 16) | (green << 8) | blue;
      if (!found.has(key)) found.set(key, numbers ? red : this.#nearest(red, green, blue));
      pixels[i] = found.get(key);
      if (this.labels.instances) pixels[i + 1] = pixels[i]; // edges of the labels stand for those of the objects
    }
    return pixels;
  }

  #nearest(red, green, blue) {
    let best = 0, least = Infinity;
    for (const { label, colour } of this.paints) {
      const far = (colour[0] - red) ** 2 + (colour[1] - green) ** 2 + (colour[2] - blue) ** 2;
      if (far < least) [best, least] = [label, far];
    }
    return best;
  }

  #value(paint, instance) {
    return this.labels ? [paint.label, instance & 255, instance >> 8] : paint.colour;
  }

  #current() {
    const own = this.labels?.instances ? this.#instance : 0;
    return this.tool === "eraser" ? this.#value(this.paints[0], 0) : this.#value(this.paint, own);
  }

  #step(pixels) {
    if (!pixels) return;
    this.pixels = pixels;
    this.#changed();
  }

  #changed() {
    this.show();
    this.dispatchEvent(new Event("change"));
  }

  #begin(point) {
    this.#history.remember(this.pixels);
    this.active = true;
    this.#last = point;
    if (this.tool === "fill") fill(this.pixels, this.height, this.width, point.x, point.y, this.#current());
    else this.#to(point);
  }

  #to(point) {
    stroke(this.pixels, this.height, this.width, this.#last, point, this.size, this.#current());
    this.#last = point;
  }

  #end() {
    if (!this.active) return;
    this.active = false;
    this.dispatchEvent(new Event("rest"));
  }

  #hear() {
    const canvas = this.canvas;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.width;
      const y = ((event.clientY - box.top) / box.height) * this.height;
      return { x: Math.min(this.width - 0.01, Math.max(0, x)), y: Math.min(this.height - 0.01, Math.max(0, y)) };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.paint || event.button !== 0 || !event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      this.#cursor = null;
      this.#begin(place(event));
      this.#changed();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.active || !event.isPrimary || this.tool === "fill") return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.#to(place(each));
      this.#changed();
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.#end());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      this.#cursor = null;
      this.show();
    });
  }

  #key(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!this.paint || event.ctrlKey || event.metaKey || !(by || event.key === " ")) return;
    event.preventDefault();
    this.#cursor ??= { x: this.width / 2, y: this.height / 2 };
    if (by) {
      const far = event.shiftKey ? 10 : Math.max(1, this.size / 2);
      this.#cursor.x = Math.min(this.width - 1, Math.max(0, this.#cursor.x + by[0] * far));
      this.#cursor.y = Math.min(this.height - 1, Math.max(0, this.#cursor.y + by[1] * far));
      this.show();
    } else {
      this.#begin({ ...this.#cursor });
      this.#changed();
      this.#end();
    }
  }
}

/** The paint that stands out most from the first one, the background. */
function farthest(paints) {
  const far = ({ colour }) => colour.reduce((sum, value, i) => sum + (value - paints[0].colour[i]) ** 2, 0);
  return paints.reduce((best, paint) => (best && far(best) >= far(paint) ? best : paint), null);
}
