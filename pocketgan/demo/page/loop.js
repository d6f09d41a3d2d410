// When which network runs: the compressed one for the latest input; the teacher when the hand rests, and while a
// camera films now and then.

const SPARING = 100; // milliseconds between frames that spare the battery
const PATIENCE = 5; // while a camera films, the teacher waits for that many times as long as it takes

export class Loop {
  sparing = false;
  #dirty = false;
  #late = false; // whether the teacher's picture is of an older input
  #running = false;
  #last = 0;
  #patience = 0; // when the teacher has waited long enough

  /** `parts`: engine(), input() -> {pixels, style}, student, teacher or null, drawing(), filming(), shown(), failed(error);
   * compared(): whether the teacher's picture is seen. */
  constructor(parts) {
    Object.assign(this, parts);
  }

  /** The input or the network is another one. */
  changed() {
    this.#dirty = this.#late = true;
    this.#run();
  }

  /** The hand rests, or the teacher's picture is seen again. */
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
        const target = this.#teacherIsDue() && (!this.#dirty || this.filming()) ? this.teacher : this.student;
        if (this.sparing && this.#dirty) await this.#pause();
        if (target === this.student) this.#dirty = false;
        else this.#late = false;
        const start = performance.now();
        const { pixels, style } = this.input();
        const before = performance.now() - start;
        target.show(await this.engine().run(target.model, pixels, style), before);
        if (target === this.teacher) this.#patience = performance.now() + PATIENCE * (performance.now() - start);
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
    if (!this.#late || !this.teacher || !this.compared() || this.drawing()) return false;
    return !this.filming() || performance.now() > this.#patience;
  }

  async #pause() {
    const left = this.#last + SPARING - performance.now();
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    this.#last = performance.now();
  }
}
