// The moving half of a lab's picture. matplotlib painted axes, curves and labels once; this file
// strokes the artists that move, from numbers that Python computed. It knows no mathematics.

const CLEAR_TEXT = "Remove pin";
const PIN_TEXT = "Pin this run";
const PLAY_MS = 120;
const GHOST = { light: "#7F7F7F", dark: "#A0A0A0" };

const element = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};

const button = (text, onClick) => {
  const node = element("button", "ck-button", text);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
};

function isDark() {
  const lab = document.body.dataset.jpThemeLight; // set by JupyterLab
  if (lab !== undefined) return lab === "false";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// A kernel message need not be aligned to four bytes: copy where it is not.
function floats(view) {
  if (!view || !view.byteLength) return new Float32Array();
  const { buffer, byteOffset, byteLength } = view;
  if (byteOffset % 4 === 0) return new Float32Array(buffer, byteOffset, byteLength / 4);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

async function lines(view) {
  if (!view || !view.byteLength) return [];
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return (await new Response(stream).text()).split("\n");
}

// JupyterLab would take "b" or "d d" typed on a slider as "insert cell" and "delete cell". Its key
// bindings match the focused element itself, so that is where the attribute has to be.
const suppress = (event) => { event.target.dataset.lmSuppressShortcuts = "true"; };

// ---------------------------------------------------------------- drawing

const MARKERS = {
  o: (c, x, y, r) => c.arc(x, y, r, 0, 2 * Math.PI),
  s: (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
  "^": (c, x, y, r) => polygon(c, [[x, y - r], [x + r, y + r], [x - r, y + r]]),
  v: (c, x, y, r) => polygon(c, [[x, y + r], [x + r, y - r], [x - r, y - r]]),
  D: (c, x, y, side) => {  // a square standing on its corner
    const r = side * Math.SQRT2;
    polygon(c, [[x, y - r], [x + r, y], [x, y + r], [x - r, y]]);
  },
  x: (c, x, y, r) => cross(c, x, y, r, r),
  "+": (c, x, y, r) => (cross(c, x, y, r, 0), cross(c, x, y, 0, r)),
};

function polygon(c, points) {
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.closePath();
}

function cross(c, x, y, dx, dy) {
  c.moveTo(x - dx, y - dy); c.lineTo(x + dx, y + dy);
  if (dx && dy) { c.moveTo(x - dx, y + dy); c.lineTo(x + dx, y - dy); }
}

function strokeLine(c, xy, style) {
  c.beginPath();
  let down = false;
  for (let i = 0; i < xy.length; i += 2) {
    const drawable = Number.isFinite(xy[i]) && Number.isFinite(xy[i + 1]);
    if (drawable) down ? c.lineTo(xy[i], xy[i + 1]) : c.moveTo(xy[i], xy[i + 1]);
    down = drawable;
  }
  c.lineJoin = "round";
  c.setLineDash([]);
  if (style.halo) {
    c.strokeStyle = style.halo.color; c.lineWidth = style.halo.width; c.stroke();
  }
  c.setLineDash(style.dash);
  c.strokeStyle = style.color; c.lineWidth = style.width; c.stroke();
  c.setLineDash([]);
}

function paintMarkers(c, xy, style) {
  c.beginPath();
  for (let i = 0; i < xy.length; i += 2) {
    if (!Number.isFinite(xy[i]) || !Number.isFinite(xy[i + 1])) continue;
    c.moveTo(xy[i] + style.size / 2, xy[i + 1]);
    (MARKERS[style.marker] || MARKERS.o)(c, xy[i], xy[i + 1], style.size / 2);
  }
  c.fillStyle = style.face; c.strokeStyle = style.edge; c.lineWidth = style.edgeWidth;
  if (style.face !== "none") c.fill();
  if (style.edgeWidth > 0) c.stroke();
}

function paintBars(c, boxes, style) {
  for (let i = 0; i < boxes.length; i += 4) {
    if (!Number.isFinite(boxes[i + 3])) continue;
    c.fillStyle = style.color;
    c.fillRect(boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]);
  }
}

function paintText(c, xy, text, style) {
  if (!text || !Number.isFinite(xy[0])) return;
  c.font = style.font; c.textAlign = style.align; c.textBaseline = style.baseline;
  c.fillStyle = style.color;
  c.fillText(text, xy[0], xy[1]);
}

// `run` is one frame: {values, time, texts}. A growing artist shows its first time + 1 points,
// a following artist the last visible point of the artist that it follows.
function paintRun(c, artists, run, theme, ghost) {
  const part = (a) => {
    const width = a.kind === "bars" ? 4 : 2;
    const shown = a.grows ? Math.min(a.count, run.time + 1) : a.count;
    return run.values.subarray(a.offset, a.offset + width * shown);
  };
  artists.forEach((a) => {
    let style = a[theme];
    if (ghost) {
      if (!a.pinned) return;
      const grey = GHOST[theme];
      style = { ...style, color: grey, face: grey, edge: grey, dash: [2, 3], halo: null };
    }
    let values = part(a);
    if (a.follows !== undefined) values = part(artists[a.follows]).slice(-2);
    c.save();
    c.globalAlpha = style.alpha;
    if (style.clip) { c.beginPath(); c.rect(...style.clip); c.clip(); }
    if (a.kind === "bars") paintBars(c, values, style);
    else if (a.kind === "text") paintText(c, values, run.texts[a.text], style);
    else {
      if (style.width > 0) strokeLine(c, values, style);
      if (style.size > 0) paintMarkers(c, values, style);
    }
    c.restore();
  });
}

// ---------------------------------------------------------------- one view

class View {
  constructor(model, el) {
    Object.assign(this, { model, el, ghost: null, placed: null, captions: [], texts: [] });
    this.locked = Boolean(model.get("prediction").question);
    this.stops = [];
    this.build();
  }

  // The sliders are ordinary ipywidgets; hearing their models here keeps the kernel out of the
  // loop. A lab that is opened without a kernel stays alive for the same reason.
  async start() {
    const ids = this.model.get("controls").map((id) => id.replace("IPY_MODEL_", ""));
    this.controls = await Promise.all(ids.map((id) => this.model.widget_manager.get_model(id)));
    this.controls.forEach((control, i) =>
      this.listen(control, "change:index", () => this.moved(i)));
    this.listen(this.model, "change:values", () => this.newValues());
    this.listen(this.model, "change:captions change:texts", () => this.newWords());
    this.listen(this.model, "change:background_light change:background_dark",
      () => this.repaint());
    const themes = new MutationObserver(() => this.repaint());
    themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    const sizes = new ResizeObserver(() => this.schedule());
    sizes.observe(this.picture);
    this.stops.push(() => themes.disconnect(), () => sizes.disconnect());
    this.values = floats(this.model.get("values"));
    this.repaint();
    this.adopt();
    await this.newWords();
  }

  listen(target, events, call) {
    target.on(events, call);
    this.stops.push(() => target.off(events, call));
  }

  stop() {
    clearInterval(this.playing);
    this.stops.forEach((stop) => stop());
    if (this.url) URL.revokeObjectURL(this.url);
  }

  // ------------------------------------------------ the page

  build() {
    const { model, el } = this;
    const [width, height] = model.get("size");
    el.classList.add("ck-figure");
    this.bar = element("div", "ck-toolbar");
    this.bar.setAttribute("role", "toolbar");
    this.bar.setAttribute("aria-label", "Presets and playback");
    model.get("presets").forEach(({ name, indices }) =>
      this.bar.append(button(name, () => this.preset(indices))));
    if (model.get("time_control") >= 0) {
      this.play = button("▶ Play", () => this.togglePlay());
      this.bar.append(this.play, button("Step", () => this.step(1)));
    }
    if (model.get("artists").some((a) => a.pinned)) {
      this.pin = button(PIN_TEXT, () => this.togglePin());
      this.bar.append(this.pin);
    }
    if (model.get("controls").length) this.bar.append(button("Reset", () => this.reset()));
    this.question = element("fieldset", "ck-question");
    this.picture = element("div", "ck-picture");
    this.picture.style.cssText = `max-width:${width}px;aspect-ratio:${width}/${height}`;
    this.picture.setAttribute("role", "img");
    this.picture.setAttribute("aria-label", model.get("alt"));
    this.image = element("img");
    this.image.alt = "";
    this.canvas = element("canvas");
    this.picture.append(this.image, this.canvas);
    this.sentence = element("output", "ck-sentence");
    this.sentence.setAttribute("aria-live", "polite");
    this.pinned = element("div", "ck-pinned ck-note");
    if (this.bar.childElementCount) el.append(this.bar);
    el.append(this.question, this.picture, this.sentence, this.pinned);
    this.canvas.addEventListener("click", (event) => this.place(event));
    if (this.locked) this.ask();
    else this.question.hidden = true;
  }

  // ipywidgets' sliders have no accessible name. The panel exists only after this view is attached.
  adopt(tries = 100) {
    const panel = this.el.closest(".ck-lab");
    if (!panel) {
      if (tries) requestAnimationFrame(() => this.adopt(tries - 1));
      return;
    }
    panel.addEventListener("focusin", suppress);
    this.stops.push(() => panel.removeEventListener("focusin", suppress));
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", this.model.get("title"));
    panel.querySelectorAll(".widget-slider").forEach((slider) => {
      const handle = slider.querySelector(".noUi-handle");
      const label = slider.querySelector(".widget-label");
      const readout = slider.querySelector(".widget-readout");
      if (!handle || !label || !readout) return;
      const speak = () => {
        handle.setAttribute("aria-label", label.textContent);
        if (handle.getAttribute("aria-valuetext") !== readout.textContent)
          handle.setAttribute("aria-valuetext", readout.textContent);
      };
      const watch = new MutationObserver(speak);
      watch.observe(readout, { childList: true, characterData: true, subtree: true });
      watch.observe(handle, { attributeFilter: ["aria-valuetext"] });
      this.stops.push(() => watch.disconnect());
      speak();
    });
  }

  // ------------------------------------------------ what is shown

  // The frame's number, with the last control varying fastest; time picks no frame.
  frame() {
    const timeControl = this.model.get("time_control");
    return this.controls.reduce((frame, control, i) =>
      i === timeControl || !this.model.get("shape").length
        ? frame : frame * this.model.get("shape")[i] + control.get("index"), 0);
  }

  time() {
    const timeControl = this.model.get("time_control");
    return timeControl < 0 ? Infinity : this.controls[timeControl].get("index");
  }

  run() {
    const length = this.model.get("frame_length");
    const frame = this.frame();
    const count = this.model.get("text_count");
    const times = this.model.get("times");
    const values = this.values.subarray(frame * length, (frame + 1) * length);
    return {
      values, frame, time: this.time(),
      texts: this.texts.slice(frame * count, (frame + 1) * count),
      caption: this.captions[frame * times + (times > 1 ? this.time() : 0)] || "",
    };
  }

  moved(control) {
    if (this.locked) this.ask();
    // In a live lab Python answers with new values; until then the old picture stays.
    const live = !this.model.get("shape").length;
    if (!live || control === this.model.get("time_control")) this.schedule();
  }

  newValues() {
    this.values = floats(this.model.get("values"));
    this.schedule();
  }

  async newWords() {
    const [captions, texts] = await Promise.all(
      [lines(this.model.get("captions")), lines(this.model.get("texts"))]);
    Object.assign(this, { captions, texts });
    this.schedule();
  }

  repaint() {
    const view = this.model.get(isDark() ? "background_dark" : "background_light");
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(new Blob([bytes], { type: "image/svg+xml" }));
    this.image.src = this.url;
    this.schedule();
  }

  schedule() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  draw() {
    const [width, height] = this.model.get("size");
    const shown = this.picture.clientWidth || width;
    const scale = (shown / width) * (window.devicePixelRatio || 1);
    const c = this.canvas.getContext("2d");
    if (this.canvas.width !== Math.round(width * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    const theme = isDark() ? "dark" : "light";
    const artists = this.model.get("artists");
    if (this.ghost) paintRun(c, artists, this.ghost, theme, true);
    const run = this.run();
    if (this.locked) run.time = 0;
    const visible = this.locked ? artists.map((a) => (a.grows || a.follows !== undefined ? a
      : { ...a, count: 0 })) : artists;
    paintRun(c, visible, run, theme, false);
    this.paintPlaced(c, theme);
    const words = this.locked ? "Predict first. The picture waits for you." : run.caption;
    if (this.sentence.textContent !== words) this.sentence.textContent = words;
    this.canvas.dataset.frame = run.frame;
  }

  // ------------------------------------------------ presets, playing, pinning

  setControl(i, index) {
    const control = this.controls[i];
    control.set("index", index);
    control.save_changes();
  }

  preset(indices) {
    this.stopPlaying();
    if (this.model.get("prediction").question) this.lock();
    Object.entries(indices).forEach(([i, index]) => this.setControl(Number(i), index));
    this.schedule();
  }

  reset() {
    this.ghost = null;
    this.showPin();
    this.preset(this.model.get("defaults"));
  }

  lastTime() { return this.model.get("times") - 1; }

  step(by) {
    const next = Math.min(this.time() + by, this.lastTime());
    this.setControl(this.model.get("time_control"), next);
    return next;
  }

  togglePlay() {
    if (this.playing) return this.stopPlaying();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches)
      return this.setControl(this.model.get("time_control"), this.lastTime());
    if (this.time() >= this.lastTime()) this.setControl(this.model.get("time_control"), 0);
    this.play.textContent = "❚❚ Pause";
    this.playing = setInterval(() => {
      if (this.step(1) >= this.lastTime()) this.stopPlaying();
    }, PLAY_MS);
  }

  stopPlaying() {
    clearInterval(this.playing);
    this.playing = 0;
    if (this.play) this.play.textContent = "▶ Play";
  }

  togglePin() {
    const run = this.run();
    this.ghost = this.ghost ? null : { ...run, values: run.values.slice() };
    this.showPin();
    this.schedule();
  }

  showPin() {
    if (this.pin) this.pin.textContent = this.ghost ? CLEAR_TEXT : PIN_TEXT;
    this.pinned.textContent = this.ghost ? `Pinned (grey): ${this.ghost.caption}` : "";
  }

  // ------------------------------------------------ predict first

  lock() {
    this.locked = true;
    this.placed = null;
    this.ask();
  }

  ask() {
    const { question, choices } = this.model.get("prediction");
    this.question.hidden = false;
    this.question.replaceChildren(element("legend", "", question));
    (choices || []).forEach((choice, i) =>
      this.question.append(button(choice, () => this.commit(i))));
    if (!choices) this.question.append(element("span", "", "Click in the picture to place it."));
    this.schedule();
  }

  commit(choice) {
    const { choices, outcomes } = this.model.get("prediction");
    const outcome = outcomes[this.frame()];
    this.reveal(choice === outcome
      ? `Right: you predicted “${choices[choice]}”.`
      : `You predicted “${choices[choice]}”. It is “${choices[outcome]}”. Why?`);
  }

  place(event) {
    const { question, axes } = this.model.get("prediction");
    if (!this.locked || !axes) return;
    const box = this.canvas.getBoundingClientRect();
    const unit = this.model.get("size")[0] / box.width;
    this.placed = [(event.clientX - box.left) * unit, (event.clientY - box.top) * unit];
    const x = axes.limits[0]
      + ((this.placed[0] - axes.box[0]) / axes.box[2]) * (axes.limits[1] - axes.limits[0]);
    this.reveal(`You placed ${x.toFixed(2)} (purple cross).`);
  }

  paintPlaced(c, theme) {
    if (!this.placed) return;
    c.save();
    c.strokeStyle = theme === "dark" ? "#E0A0C8" : "#A0507A";
    c.lineWidth = 3;
    c.beginPath();
    cross(c, ...this.placed, 8, 8);
    c.stroke();
    c.restore();
  }

  reveal(verdict) {
    this.locked = false;
    this.question.replaceChildren(element("legend", "", verdict),
      button("Predict again", () => this.lock()));
    this.schedule();
  }
}

export default {
  async render({ model, el }) {
    const view = new View(model, el);
    await view.start();
    return () => view.stop();
  },
};
