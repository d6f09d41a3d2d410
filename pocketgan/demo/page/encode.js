// What a network sees of the pixels: the same numbers as pocketgan.data.images and pocketgan.data.labels give.

/** What the 256 values of a byte mean. */
const LEVELS = Float32Array.from({ length: 256 }, (_, value) => Math.fround(value / 127.5) - 1);

/** Images: bytes to [-1, 1], one plane a colour; of gray ones the first. */
export function encodeImage(pixels, height, width, channels) {
  const area = height * width, planes = new Float32Array(channels * area);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) planes[c * area + i] = LEVELS[pixels[i * 3 + c]];
  }
  return planes;
}

/** Label maps: a plane for each class, one for "do not care" (255), one for the edges of instances; all 0 or 1. */
export function encodeLabels(pixels, height, width, labels) {
  const area = height * width;
  const channels = labels.classes + (labels.dont_care ? 1 : 0) + (labels.instances ? 1 : 0);
  const planes = new Float32Array(channels * area);
  for (let i = 0; i < area; i++) {
    const label = pixels[i * 3];
    const plane = label < labels.classes ? label : labels.dont_care ? labels.classes : -1;
    if (plane >= 0) planes[plane * area + i] = 1;
  }
  if (labels.instances) planes.set(edges(pixels, height, width), (channels - 1) * area);
  return planes;
}

/** The number of the object at a pixel of a label map. */
export function instanceAt(pixels, i) {
  return pixels[i * 3 + 1] | (pixels[i * 3 + 2] << 8);
}

/** 1 where the object of a pixel differs from that above, below, left or right of it. */
export function edges(pixels, height, width) {
  const found = new Uint8Array(height * width);
  for (let i = 0; i < found.length; i++) {
    const own = instanceAt(pixels, i);
    if (i % width && instanceAt(pixels, i - 1) !== own) found[i - 1] = found[i] = 1;
    if (i >= width && instanceAt(pixels, i - width) !== own) found[i - width] = found[i] = 1;
  }
  return found;
}

/** Planes in [-1, 1] as an ImageData: gray as it is, of more than three the first; what lies outside is clipped. */
export function decodeImage(planes, height, width) {
  const area = height * width, channels = planes.length / area, image = new ImageData(width, height);
  for (let c = 0; c < 3; c++) {
    const from = channels === 1 ? 0 : c * area;
    for (let i = 0; i < area; i++) image.data[i * 4 + c] = ((planes[from + i] + 1) / 2) * 255;
  }
  for (let i = 0; i < area; i++) image.data[i * 4 + 3] = 255;
  return image;
}
