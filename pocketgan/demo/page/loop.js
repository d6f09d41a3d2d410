// When which network runs: the compressed one for the latest input; the teacher when the hand rests.

const SPARING = 100; // milliseconds between frames that spare the battery

export class Loop {
  sparing = false;
  #dirty = false;
  #late = false; // whether the teacher's picture is of an older input
  #running = false;
  #last = 0;

  /** `parts`: engine(), input() -> {pixels, style}, busy(), student, teacher or null, shown(), failed(error). */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** The input or the network is another one. */
  changed() {
    this.#dirty = this.#late = true;
    this.#run();
  }

  /** The hand rests. */
  rested() {
    this.#run();
  }

  get idle() {
    return !this.#running;
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#dirty || this.#teacherIsDue()) {
        const target = this.#dirty ? this.student : this.teacher;
        if (this.sparing && this.#dirty) await this.#pause();
        if (target === this.student) this.#dirty = false;
        else this.#late = false;
        const start = performance.now();
        const { pixels, style } = this.input();
        const before = performance.now() - start;
        target.show(await this.engine().run(target.model, pixels, style), before);
        this.shown();
        await new Promise((resolve) => setTimeout(resolve)); // what the hand did meanwhile comes first
      }
    } catch (error) {
      this.#dirty = this.#late = false;
      this.failed(error);
    } finally {
      this.#running = false;
    }
  }

  #teacherIsDue() {
    return this.#late && this.teacher && !this.busy();
  }

  async #pause() {
    const left = this.#last + SPARING - performance.now();
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    this.#last = performance.now();
  }
}
