// Runs the networks, away from the page: in WebAssembly, on WebGPU, or by asking the server.

import { encodeImage, encodeLabels } from "./encode.js";
import { imageOf } from "./pixels.js";

let engine, about;
const sessions = new Map();

self.onmessage = async ({ data }) => {
  try {
    if (data.about) {
      about = data.about;
      engine = await ENGINES[data.engine](data.threads);
      self.postMessage({ ready: engine.text });
    } else {
      const [height, width] = about.size, start = performance.now();
      const encoded = engine.encodes ? encode(data.pixels, height, width) : data.pixels;
      const before = performance.now();
      const planes = await engine.run(data.model, encoded, data.style);
      const end = performance.now();
      const times = { run: end - before, encode: before - start };
      self.postMessage({ id: data.id, planes, ...times }, [planes.buffer]);
    }
  } catch (error) {
    self.postMessage({ id: data.id, failed: String(error?.message ?? error) });
  }
};

function encode(pixels, height, width) {
  const { labels, channels } = about;
  return labels ? encodeLabels(pixels, height, width, labels) : encodeImage(pixels, height, width, channels);
}

const ENGINES = {
  async wasm(threads) {
    const ort = await runtime("ort.wasm.min.mjs", "ort-wasm-simd-threaded", threads);
    const isolated = self.crossOriginIsolated;
    const count = ort.env.wasm.numThreads;
    const note = isolated ? "" : ", as the host does not isolate the page";
    return local(ort, "wasm", `in this browser: WebAssembly with SIMD, ${count} thread${count > 1 ? "s" : ""}${note}`);
  },

  async webgpu(threads) {
    const ort = await runtime("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi", threads);
    return local(ort, "webgpu", "in this browser: WebGPU");
  },

  async server() {
    const [height, width] = about.size;
    const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
    return {
      text: "by the server on this computer: ONNX Runtime in Python",
      encodes: false,
      async run(model, pixels, style) {
        context.putImageData(imageOf(pixels, height, width), 0, 0);
        const body = await canvas.convertToBlob({ type: "image/png" });
        const query = style ? `?style=${Array.from(style).join(",")}` : "";
        const answer = await fetch(`translate/${model.name}${query}`, { method: "POST", body });
        if (!answer.ok) throw new Error((await answer.text()).trim());
        return new Float32Array(await answer.arrayBuffer());
      },
    };
  },
};

/** ONNX Runtime, its WebAssembly unpacked here. */
async function runtime(module, binary, threads) {
  const [ort, { XzReadableStream }, packed] = await Promise.all([
    import(`./ort/${module}`), import("./ort/xz.mjs"), fetched(`ort/${binary}.wasm.xz`),
  ]);
  ort.env.wasm.wasmBinary = await new Response(new XzReadableStream(packed.body)).arrayBuffer();
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1;
  ort.env.logLevel = "error";
  return ort;
}

/** An engine of this browser. It tries a session at once: what cannot run must show before a person draws. */
async function local(ort, provider, text) {
  const [height, width] = about.size;
  const session = async (model) => {
    if (!sessions.has(model.name)) {
      const file = await (await fetched(model.file)).arrayBuffer();
      sessions.set(model.name, await ort.InferenceSession.create(file, { executionProviders: [provider] }));
    }
    return sessions.get(model.name);
  };
  await session(about.front.find((model) => model.name === about.start));
  return {
    text,
    encodes: true,
    async run(model, planes, style) {
      const image = new ort.Tensor("float32", planes, [1, planes.length / (height * width), height, width]);
      const feed = style ? { image, style: new ort.Tensor("float32", style, [1, style.length, 1, 1]) } : { image };
      const { image_out: made } = await (await session(model)).run(feed);
      return made.getData(true); // its own memory, which can be handed on
    },
  };
}

async function fetched(address) {
  const answer = await fetch(new URL(address, import.meta.url));
  if (!answer.ok) throw new Error(`${address} is missing on this host`);
  return answer;
}
