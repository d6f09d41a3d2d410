// The page: its parts, and how they belong together.

import { showBudget } from "./budget.js";
import { Contestant } from "./contestant.js";
import { Curtain } from "./curtain.js";
import { Drawing } from "./drawing.js";
import { Engine, engines } from "./engine.js";
import { isolate } from "./isolate.js";
import { fragmentOf, read } from "./link.js";
import { Loop } from "./loop.js";
import { showPalette } from "./palette.js";
import { Camera, fetched, hear, isDeep, opened } from "./pictures.js";
import { imageOf } from "./pixels.js";
import { StylePad } from "./style-pad.js";

const $ = (id) => document.getElementById(id);
const say = (text) => ($("message").textContent = text);
const ENGINES = { wasm: "this browser (WebAssembly)", webgpu: "this browser (WebGPU)", server: "the server" };
const LEADS = { drawing: "Draw, and see what the networks make of it.", labels: "Paint what should be where.", photo: "Take or drop a picture." };

async function main() {
  const about = await (await fetch("demo.json")).json();
  if (await isolate(about)) return;
  const link = await read(location.hash, about.size[0] * about.size[1] * 3);
  document.body.classList.toggle("embed", link.embed);
  document.title = `${about.title} · PocketGAN`;
  $("title").textContent = about.title;
  $("lead").textContent = LEADS[about.kind] + (about.deep ? " Give pictures of 8 bits: a browser reads no more." : "");
  $("report").hidden = !about.report;

  const drawing = new Drawing($("canvas"), about);
  const student = new Contestant($("student-canvas"), $("student-figures"), about.size);
  const teacher = about.teacher && new Contestant($("teacher-canvas"), $("teacher-figures"), about.size);
  const curtain = new Curtain($("over-canvas"), $("curtain"), about.size);
  const camera = new Camera($("video"));
  const pad = about.style ? new StylePad($("style-pad"), $("style-new"), about.style) : null;
  let engine = null, target = null;

  const named = (name) => about.front.find((model) => model.name === name);
  student.model = named(link.model) ?? named(about.start);
  if (teacher) teacher.model = about.teacher;
  $("teacher").hidden = !teacher;
  document.querySelector(".pictures").classList.toggle("alone", !teacher);

  const over = () => {
    const view = $("view").value;
    const image = { teacher: teacher?.image, input: drawing.image(), target }[view] ?? null;
    curtain.show(image);
    $("teacher").hidden = !teacher || view !== "side";
    document.querySelector(".pictures").classList.toggle("alone", $("teacher").hidden);
  };
  const loop = new Loop({
    student,
    teacher,
    engine: () => engine,
    input() {
      if (camera.on) drawing.take(camera.video, false);
      return { pixels: drawing.pixels, style: pad?.style ?? null };
    },
    drawing: () => drawing.active,
    filming: () => camera.on,
    compared: () => ["side", "teacher"].includes($("view").value),
    shown() {
      if ($("view").value !== "side") over();
      if (camera.on) setTimeout(() => loop.changed());
    },
    failed: (error) => say(`The network did not run: ${error.message}`),
  });
  const changed = () => {
    $("undo").disabled = !drawing.canUndo;
    $("redo").disabled = !drawing.canRedo;
    if (engine) loop.changed();
  };

  // -- the input --
  const painted = about.kind !== "photo";
  for (const id of ["tools", "palette", "canvas-help", "clear"]) $(id).hidden = !painted;
  $("webcam").hidden = about.kind === "labels";
  $("instance").hidden = !about.labels?.instances;
  if (painted) showPalette($("palette"), drawing);
  drawing.addEventListener("change", () => camera.on || changed());
  drawing.addEventListener("rest", () => loop.rested());
  const tools = [...document.querySelectorAll("[data-tool]")];
  const choose = (name) => {
    drawing.tool = name;
    for (const tool of tools) tool.setAttribute("aria-pressed", String(tool.dataset.tool === name));
  };
  for (const tool of tools) tool.addEventListener("click", () => choose(tool.dataset.tool));
  $("brush-size").max = Math.max(8, Math.round(drawing.width / 5));
  drawing.size = +($("brush-size").value = Math.max(2, Math.round(drawing.width / 16)));
  $("brush-size").addEventListener("input", (event) => (drawing.size = +event.target.value));
  $("undo").addEventListener("click", () => drawing.undo());
  $("redo").addEventListener("click", () => drawing.redo());
  $("clear").addEventListener("click", () => own(() => drawing.clear()));
  $("instance").addEventListener("click", () => drawing.nextInstance());
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      key === "y" || event.shiftKey ? drawing.redo() : drawing.undo();
    } else if (!event.ctrlKey && !event.metaKey && painted && !event.target.matches("input, select")) {
      const tool = { b: "brush", e: "eraser", f: "fill" }[key];
      if (tool) choose(tool);
    }
  });

  /** A picture of the person's own takes the place of the example: there is no real one to compare with. */
  const own = (place) => {
    target = null;
    views();
    place();
  };
  hear($("file"), $("load"), async (file) => {
    try {
      const picture = await opened(file);
      say(
        (await isDeep(file))
          ? `${file.name} has 16 bits, taken to go from 0 to 65535: if it looks too dark, store it in 8 bits first.`
          : "",
      );
      own(() => drawing.take(picture));
    } catch (error) {
      say(error.message);
    }
  });
  $("webcam").addEventListener("click", async () => {
    try {
      if (camera.on) camera.stop();
      else {
        await camera.start();
        own(() => loop.changed());
      }
    } catch (error) {
      camera.stop();
      say(`There is no picture from the camera: ${error.message}`);
    }
    $("webcam").setAttribute("aria-pressed", String(camera.on));
    if (!camera.on) loop.changed();
  });
  const show = async (example, kept = true) => {
    camera.stop();
    $("webcam").setAttribute("aria-pressed", "false");
    target = example.target ? imageOf(await fetched(example.target), ...about.size) : null;
    views();
    drawing.replace(await fetched(example.source), kept);
  };
  const views = () => {
    const there = { side: true, teacher, input: true, target };
    for (const option of $("view").options) option.hidden = option.disabled = !there[option.value];
    if ($("view").selectedOptions[0].disabled) $("view").value = "side";
    over();
  };
  $("view").addEventListener("change", () => {
    over();
    loop.rested();
  });
  if (about.kind === "photo") $("view").value = "input";
  for (const [i, example] of about.examples.entries()) await thumbnail(example, i, drawing, show);

  // -- the output --
  const call = () => ($("student-name").textContent = student.model.title);
  call();
  showBudget($("budget"), about, student.model, (model) => {
    student.model = model;
    call();
    changed();
  });
  $("style").hidden = !pad;
  pad?.addEventListener("change", changed);
  $("battery").addEventListener("change", (event) => (loop.sparing = event.target.checked));
  $("save").addEventListener("click", () => save($("student-canvas"), about.title, say));
  $("share").addEventListener("click", async () => {
    const fragment = await fragmentOf(drawing.pixels, student.model.name);
    history.replaceState(null, "", `#${fragment}`);
    await navigator.clipboard.writeText(location.href).then(
      () => say("The link to this drawing was copied."),
      () => say("The link to this drawing is in the address bar."),
    );
  });

  const first = about.examples[+link.example || 0];
  if (link.pixels) drawing.replace(link.pixels, false);
  else if (first) await show(first, false);
  if (link.damaged) say("The drawing in the link is damaged, or of another page; here is an example instead.");
  views();

  // -- the engine --
  const there = await engines(about);
  $("engine").replaceChildren(...there.map((name) => new Option(ENGINES[name], name)));
  const start = async (names) => {
    const failures = [];
    $("where").textContent = "Starting the networks …";
    for (const name of names) {
      try {
        const next = await Engine.start(name, about);
        engine?.stop();
        engine = next;
        $("engine").value = name;
        $("where").textContent = `Runs ${engine.text}.${why(about, name, failures)}`;
        return loop.changed();
      } catch (error) {
        failures.push(`${ENGINES[name]}: ${error.message}`);
      }
    }
    $("where").textContent = "";
    say(`No runtime works here. ${failures.join("; ")}`);
  };
  $("engine").addEventListener("change", (event) => start([event.target.value]));
  await start(there);
  // for tests, and for the curious in the console
  window.pocketgan = { about, drawing, student, teacher, loop, pad };
}

/** Why it is not the browser that runs the networks, where that is so. */
function why(about, name, failures) {
  if (failures.length) return ` (${failures.join("; ")})`;
  return name === "server" && !about.runtimes.length ? " The browser's own runtime is not installed with this page." : "";
}

async function thumbnail(example, number, drawing, show) {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [drawing.width, drawing.height];
  canvas.getContext("2d").putImageData(drawing.image(await fetched(example.source)), 0, 0);
  button.type = "button";
  button.title = example.name;
  button.setAttribute("aria-label", `Example ${number + 1}: ${example.name}`);
  button.append(canvas);
  button.addEventListener("click", () => show(example));
  document.getElementById("examples").append(button);
}

async function save(canvas, title, say) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${title.replace(/[^\w-]+/g, "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say("");
}

main().catch((error) => say(`The page did not start: ${error.message}`));
