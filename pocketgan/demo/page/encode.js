// What a network sees of the pixels: the same numbers as pocketgan.data.images and pocketgan.data.labels give.

/** Images: bytes to [-1, 1], one plane a colour. */
export function encodeImage(pixels, height, width) {
  const area = height * width, planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) planes[c * area + i] = Math.fround(pixels[i * 3 + c] / 127.5) - 1;
  }
  return planes;
}

/** Label maps: a plane for each class, one for "do not care" (255), one for the edges of instances; all 0 or 1. */
export function encodeLabels(pixels, height, width, labels) {
  const area = height * width;
  const channels = labels.classes + (labels.dont_care ? 1 : 0) + (labels.instances ? 1 : 0);
  const planes = new Float32Array(channels * area);
  const instance = (i) => pixels[i * 3 + 1] | (pixels[i * 3 + 2] << 8);
  for (let i = 0; i < area; i++) {
    const label = pixels[i * 3];
    const plane = label < labels.classes ? label : labels.dont_care ? labels.classes : -1;
    if (plane >= 0) planes[plane * area + i] = 1;
    if (!labels.instances) continue;
    const column = i % width, own = instance(i);
    const edge = (column > 0 && instance(i - 1) !== own) || (column < width - 1 && instance(i + 1) !== own) ||
      (i >= width && instance(i - width) !== own) || (i + width < area && instance(i + width) !== own);
    if (edge) planes[(channels - 1) * area + i] = 1;
  }
  return planes;
}

/** Planes in [-1, 1] as the pixels of an ImageData; what lies outside is clipped. */
export function decodeImage(planes, height, width) {
  const area = height * width, rgba = new Uint8ClampedArray(4 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) rgba[i * 4 + c] = ((planes[c * area + i] + 1) / 2) * 255;
    rgba[i * 4 + 3] = 255;
  }
  return new ImageData(rgba, width, height);
}
