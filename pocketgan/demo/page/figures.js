// Numbers for people, and the list of figures below a picture.

const PREFIXES = ["", " k", " M", " G", " T"];

/** Three digits with a prefix: 1.59e8 is 159 M. */
export function si(value) {
  let power = 0;
  while (value >= 999.5 && power < PREFIXES.length - 1) [value, power] = [value / 1000, power + 1];
  return `${Number(value.toPrecision(3))}${PREFIXES[power]}`;
}

export function megabytes(bytes) {
  if (bytes < 95e3) return `${(bytes / 1e3).toFixed(0)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 9.95e6 ? 1 : 0)} MB`;
}

export function milliseconds(value) {
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Fills a list of figures from [name, text] pairs, without making it anew. */
export function showFigures(list, pairs) {
  if (list.children.length !== pairs.length) {
    list.replaceChildren(...pairs.map(() => {
      const pair = document.createElement("div");
      pair.append(document.createElement("dt"), document.createElement("dd"));
      return pair;
    }));
  }
  pairs.forEach(([name, text], i) => {
    list.children[i].firstChild.textContent = name;
    list.children[i].lastChild.textContent = text;
  });
}
