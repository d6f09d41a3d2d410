// Painting into pixels: three bytes each, as the input is stored. No antialiasing, so that labels stay labels.

/** The pixels of a picture of that size, all of one value (three bytes). */
export function filled(height, width, value) {
  const pixels = new Uint8Array(height * width * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = value[i % 3];
  return pixels;
}

/** Pixels for a canvas. */
export function imageOf(pixels, height, width) {
  const image = new ImageData(width, height), { data } = image;
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    data[to] = pixels[from];
    data[to + 1] = pixels[from + 1];
    data[to + 2] = pixels[from + 2];
    data[to + 3] = 255;
  }
  return image;
}

/** A round dab of a brush; `size` is its diameter in pixels. */
export function dab(pixels, height, width, x, y, size, value) {
  const radius = size / 2;
  const top = Math.max(0, Math.floor(y - radius)), bottom = Math.min(height - 1, Math.ceil(y + radius));
  const left = Math.max(0, Math.floor(x - radius)), right = Math.min(width - 1, Math.ceil(x + radius));
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const inside = (row + 0.5 - y) ** 2 + (column + 0.5 - x) ** 2 <= Math.max(radius, 0.71) ** 2;
      if (inside) pixels.set(value, (row * width + column) * 3);
    }
  }
}

/** Dabs from one point to another, so close that they make a stroke. */
export function stroke(pixels, height, width, from, to, size, value) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(0.5, size / 4)));
  for (let i = 0; i <= steps; i++) {
    const x = from.x + ((to.x - from.x) * i) / steps, y = from.y + ((to.y - from.y) * i) / steps;
    dab(pixels, height, width, x, y, size, value);
  }
}

/** Fills the area of equal pixels around a point. */
export function fill(pixels, height, width, x, y, value) {
  const first = Math.floor(y) * width + Math.floor(x);
  const old = pixels.slice(first * 3, first * 3 + 3);
  const same = (place) => old.every((byte, i) => pixels[place * 3 + i] === byte);
  if (old.every((byte, i) => byte === value[i])) return;
  const open = [first];
  pixels.set(value, first * 3);
  while (open.length) {
    const place = open.pop(), column = place % width;
    const near = [column > 0 ? place - 1 : -1, column < width - 1 ? place + 1 : -1, place - width, place + width];
    for (const next of near) {
      if (next >= 0 && next < height * width && same(next)) {
        pixels.set(value, next * 3);
        open.push(next);
      }
    }
  }
}
