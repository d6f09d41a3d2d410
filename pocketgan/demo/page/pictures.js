// Pictures from outside: files, what is dropped or pasted, the camera; cut to the shape of the input.

const LARGEST = 40e6; // bytes

/** The pixels of a picture (three bytes each), its middle, scaled to height and width; `smooth`: colours may blend. */
export function fitted(source, height, width, smooth = true) {
  const [wide, high] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const scale = Math.max(width / wide, height / high);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  const [w, h] = [wide * scale, high * scale];
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
  return threeBytes(context.getImageData(0, 0, width, height).data);
}

/** RGBA to RGB. */
export function threeBytes(rgba) {
  const pixels = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; to < pixels.length; from += 4, to += 3) {
    pixels[to] = rgba[from];
    pixels[to + 1] = rgba[from + 1];
    pixels[to + 2] = rgba[from + 2];
  }
  return pixels;
}

/** The exact pixels of one of the page's own pictures. */
export async function fetched(address) {
  const blob = await (await fetch(address)).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return fitted(bitmap, bitmap.height, bitmap.width);
}

/** A file as something that can be drawn. Rejects with a sentence for what is no picture. */
export async function opened(file) {
  if (file.size > LARGEST) throw new Error(`${file.name || "The picture"} is larger than 40 MB; make it smaller`);
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "What was given"} is no picture that this browser reads; use PNG, JPEG or WebP`);
  }
}

/** Whether a file is a PNG of 16 bits, of which a browser keeps the upper 8: one of 12 bits comes out nearly black. */
export async function isDeep(file) {
  const head = new Uint8Array(await file.slice(0, 25).arrayBuffer());
  return String.fromCharCode(...head.subarray(1, 4)) === "PNG" && head[24] === 16;
}

/** Calls `take` with every picture file that a person chooses, drops or pastes. */
export function hear(input, button, take) {
  const first = (files) => [...(files ?? [])].find((file) => file) && take(files[0]);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    first(input.files);
    input.value = "";
  });
  document.addEventListener("paste", (event) => first(event.clipboardData?.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    first(event.dataTransfer?.files);
  });
}

/** The camera: on and off. */
export class Camera {
  #stream = null;

  constructor(video) {
    this.video = video;
  }

  get on() {
    return this.#stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error("this browser gives no camera here");
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    this.video.srcObject = this.#stream;
    await this.video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.video.srcObject = null;
  }
}
