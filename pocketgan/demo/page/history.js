// Undo and redo: whole pictures, which are small.

const MOST = 60;

export class History {
  #past = [];
  #future = [];

  /** Remembers how the picture was before a change. */
  remember(pixels) {
    this.#past.push(pixels.slice());
    if (this.#past.length > MOST) this.#past.shift();
    this.#future = [];
  }

  /** The picture before the last change, or null. */
  undo(pixels) {
    return step(this.#past, this.#future, pixels);
  }

  /** The picture before the last undo, or null. */
  redo(pixels) {
    return step(this.#future, this.#past, pixels);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }
}

function step(from, to, pixels) {
  if (!from.length) return null;
  to.push(pixels.slice());
  return from.pop();
}
