// A pad to draw a digit on, by mouse, pen, finger or keyboard. The ink goes to Python in a small
// picture; ten probabilities and the picture that the network sees come back.

const SIDE = 280; // the pad, in CSS pixels
const INK_SIDE = 56; // the picture that is sent
const PEN = 20;
const STEP = 12; // of the keyboard's pen
const SEND_MS = 50; // at most so often while a stroke lasts
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP = "Draw with the mouse. By keyboard: arrow keys move the pen, Space sets it down or " +
  "lifts it, Delete clears.";

const make = (tag, className, parent) => {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
};

class Pad {
  constructor(model, el) {
    Object.assign(this, { model, el, last: 0, timer: 0, stroke: null, down: false });
    this.pen = [SIDE / 2, SIDE / 2];
    el.classList.add("ck-pad");
    // JupyterLab must not take keys meant for the pad: its bindings match the focused element.
    el.addEventListener("focusin", (event) => {
      event.target.dataset.lmSuppressShortcuts = "true";
    });
    this.build();
    this.listen();
    this.clearPaper();
    this.show();
  }

  build() {
    const row = make("div", "ck-pad-row", this.el);
    const left = make("div", "ck-pad-column", row);
    this.paper = make("canvas", "ck-paper", left);
    this.paper.width = this.paper.height = SIDE;
    this.paper.tabIndex = 0;
    this.paper.setAttribute("role", "application");
    this.paper.setAttribute("aria-label", `Drawing pad. ${HELP}`);
    this.clear = make("button", "ck-button", left);
    this.clear.type = "button";
    this.clear.textContent = "Clear";
    const middle = make("div", "ck-pad-column", row);
    make("div", "ck-pad-title", middle).textContent = "What the network sees";
    this.seen = make("canvas", "ck-seen", middle);
    this.seen.width = this.seen.height = 28;
    this.seen.setAttribute("role", "img");
    this.seen.setAttribute("aria-label", "Your digit, cropped, scaled to 20×20 and centred");
    const right = make("div", "ck-pad-column ck-bars", row);
    make("div", "ck-pad-title", right).textContent = "Probability of each digit";
    this.bars = [...Array(10).keys()].map((digit) => {
      const line = make("div", "ck-bar", right);
      make("span", "", line).textContent = digit;
      const fill = make("div", "ck-fill", make("div", "ck-track", line));
      return { fill, percent: make("span", "ck-percent", line) };
    });
    this.sentence = make("output", "ck-sentence", this.el);
    this.sentence.setAttribute("aria-live", "polite");
    this.penState = make("output", "ck-note", this.el);
    make("div", "ck-note", this.el).textContent = HELP;
    this.small = document.createElement("canvas");
    this.small.width = this.small.height = INK_SIDE;
  }

  listen() {
    const { paper } = this;
    paper.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      paper.classList.remove("ck-keys");
      paper.focus();
      paper.setPointerCapture(event.pointerId);
      this.stroke = this.at(event);
      this.segment(this.stroke, this.stroke);
    });
    paper.addEventListener("pointermove", (event) => {
      if (!this.stroke) return;
      const moves = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      (moves.length ? moves : [event]).forEach((each) => {
        const next = this.at(each);
        this.segment(this.stroke, next);
        this.stroke = next;
      });
    });
    ["pointerup", "pointercancel"].forEach((name) => paper.addEventListener(name, () => {
      this.stroke = null;
      this.send(true);
    }));
    paper.addEventListener("keydown", (event) => this.key(event));
    this.clear.addEventListener("click", () => this.wipe());
    this.onAnswer = () => this.show();
    this.model.on("change:answer", this.onAnswer);
  }

  stop() {
    clearTimeout(this.timer);
    this.model.off("change:answer", this.onAnswer);
  }

  at(event) {
    const box = this.paper.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width,
      ((event.clientY - box.top) * SIDE) / box.height];
  }

  key(event) {
    const arrow = ARROWS[event.key];
    if (event.key === "Delete" || event.key === "Backspace") this.wipe();
    else if (event.key === " ") {
      this.down = !this.down;
      this.penState.textContent = this.down ? "The pen is down." : "The pen is up.";
      if (this.down) this.segment(this.pen, this.pen);
    } else if (arrow) {
      const inside = (x) => Math.min(SIDE - STEP, Math.max(STEP, x));
      const next = this.pen.map((x, i) => inside(x + STEP * arrow[i]));
      if (this.down) this.segment(this.pen, next);
      this.pen = next;
      this.markPen();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The keyboard's pen is shown by the pad's cursor ring, which is not part of the ink.
  markPen() {
    this.paper.classList.add("ck-keys");
    this.paper.style.setProperty("--pen-x", `${(100 * this.pen[0]) / SIDE}%`);
    this.paper.style.setProperty("--pen-y", `${(100 * this.pen[1]) / SIDE}%`);
  }

  ink() {
    const c = this.paper.getContext("2d");
    c.strokeStyle = "#fff";
    c.lineWidth = PEN;
    c.lineCap = c.lineJoin = "round";
    return c;
  }

  segment(from, to) {
    const c = this.ink();
    c.beginPath();
    c.moveTo(...from);
    c.lineTo(...to);
    c.stroke();
    this.send(false);
  }

  clearPaper() {
    this.paper.getContext("2d").clearRect(0, 0, SIDE, SIDE);
    this.down = false;
    this.penState.textContent = "";
  }

  wipe() {
    this.clearPaper();
    this.send(true);
  }

  send(now) {
    clearTimeout(this.timer);
    const wait = now ? 0 : SEND_MS - (performance.now() - this.last);
    if (wait > 0) {
      this.timer = setTimeout(() => this.send(true), wait);
      return;
    }
    this.last = performance.now();
    const c = this.small.getContext("2d", { willReadFrequently: true });
    c.clearRect(0, 0, INK_SIDE, INK_SIDE);
    c.imageSmoothingQuality = "high";
    c.drawImage(this.paper, 0, 0, INK_SIDE, INK_SIDE);
    const rgba = c.getImageData(0, 0, INK_SIDE, INK_SIDE).data;
    const grey = Uint8Array.from({ length: INK_SIDE ** 2 }, (_, i) => rgba[4 * i + 3]);
    this.model.set("ink", new DataView(grey.buffer));
    this.model.save_changes();
  }

  // ------------------------------------------------ the answer

  show() {
    const { probabilities, sentence } = this.model.get("answer");
    const best = Math.max(...(probabilities || []));
    this.bars.forEach(({ fill, percent }, digit) => {
      const p = probabilities ? probabilities[digit] : 0;
      fill.style.width = `${100 * p}%`;
      fill.classList.toggle("ck-best", Boolean(probabilities) && p === best);
      percent.textContent = probabilities ? `${Math.round(100 * p)} %` : "";
    });
    this.sentence.textContent = sentence;
    this.paintSeen();
    this.el.dataset.answers = Number(this.el.dataset.answers || 0) + 1;
  }

  paintSeen() {
    const view = this.model.get("seen");
    const c = this.seen.getContext("2d");
    c.fillStyle = "#000";
    c.fillRect(0, 0, 28, 28);
    if (!view || view.byteLength !== 28 * 28) return;
    const image = c.createImageData(28, 28);
    for (let i = 0; i < 28 * 28; i += 1) {
      const grey = view.getUint8(i);
      image.data.set([grey, grey, grey, 255], 4 * i);
    }
    c.putImageData(image, 0, 0);
  }
}

export default {
  render({ model, el }) {
    const pad = new Pad(model, el);
    return () => pad.stop();
  },
};
