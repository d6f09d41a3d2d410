// A drawing as the fragment of an address: pixels, deflated, in the letters that an address may have.

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** The fragment of a drawing, without its `#`. */
export async function fragmentOf(pixels, model) {
  const packed = await through(pixels, new CompressionStream("deflate-raw"));
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  const letters = btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `model=${encodeURIComponent(model)}&drawing=${letters}`;
}

/** What a fragment holds: { model, pixels, example, embed }. A drawing of another length, or a damaged one, is left out. */
export async function read(fragment, length) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const found = { model: fields.get("model"), example: fields.get("example"), embed: fields.has("embed"), pixels: null };
  const letters = fields.get("drawing");
  if (!letters) return found;
  try {
    const text = atob(letters.replaceAll("-", "+").replaceAll("_", "/"));
    const limited = limit(length);
    const packed = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const blob = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).pipeThrough(limited);
    const pixels = new Uint8Array(await new Response(blob).arrayBuffer());
    if (pixels.length === length) found.pixels = pixels;
    else found.damaged = true;
  } catch {
    found.damaged = true;
  }
  return found;
}

/** Ends with an error beyond a length: a small fragment may unpack to a huge one. */
function limit(length) {
  let seen = 0;
  return new TransformStream({
    transform(chunk, controller) {
      seen += chunk.length;
      if (seen > length) controller.error(new Error("too long"));
      else controller.enqueue(chunk);
    },
  });
}
