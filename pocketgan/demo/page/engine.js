// The page's side of the worker: one question at a time, and of those that wait the latest alone.

/** The engines that may run here, the best first. */
export async function engines(about) {
  const found = [];
  const adapter = about.runtimes.includes("webgpu") && "Suspending" in WebAssembly &&
    (await navigator.gpu?.requestAdapter().catch(() => null));
  if (adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter)) found.push("webgpu");
  if (about.runtimes.includes("wasm") && typeof WebAssembly === "object") found.push("wasm");
  if (about.served) found.push("server");
  return found;
}

export class Engine {
  #worker;
  #asked = new Map();
  #number = 0;

  constructor(worker, text) {
    this.#worker = worker;
    this.text = text;
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.#asked.get(data.id);
      this.#asked.delete(data.id);
      data.failed ? reject(new Error(data.failed)) : resolve(data);
    };
  }

  /** Starts an engine by name. Rejects where it does not run here. */
  static start(name, about) {
    const worker = new Worker("worker.js", { type: "module" });
    const threads = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 1));
    return new Promise((resolve, reject) => {
      const fail = (text) => {
        worker.terminate();
        reject(new Error(text));
      };
      worker.onerror = (event) => fail(event.message || "the worker did not start");
      worker.onmessage = ({ data }) => (data.failed ? fail(data.failed) : resolve(new Engine(worker, data.ready)));
      worker.postMessage({ about, engine: name, threads });
    });
  }

  /** What a network makes of the pixels: its planes, and the milliseconds of it and of the encoding. */
  run(model, pixels, style) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, model, pixels, style });
    });
  }

  stop() {
    this.#worker.terminate();
    for (const { reject } of this.#asked.values()) reject(new Error("stopped"));
  }
}
