// A sheet with guide lines on which letters are written one after the other with pen, finger, mouse or keys.
// data: chars [wanted letters in order], letters [{char, strokes: [{x, y, t, p}]}] (what is written already), turn (another number: take data.letters anew), done_word.
// Units of what is sent: x-height 1, baseline 0, y down; t in seconds from the letter's first point; p 0 to 1. Sends "letters" when a letter is done: {letters, finished}.
const UP = 1.95, DOWN = 1.15, KEY_STEP = 5, KEY_FAST = 20, LEAST_PX = 0.7, MOST_POINTS = 2000, MOST_VARIANTS = 4, MARGIN = 0.25;
const NS = "http://www.w3.org/2000/svg";
const round = value => Math.round(value * 1e4) / 1e4;
const element = (name, className, text, into) => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return into.appendChild(node);
};
const spoken = char => char === " " ? "space" : /[A-Z]/.test(char) ? `capital ${char}` : char;

// The points of a stroke as pixels of the sheet: [[x, y, t_s, p], ...].
class Sheet {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = [];
    this.active = null;
    this.pen = { x: 0, y: 0, down: false, shown: false };
    canvas.addEventListener("pointerdown", event => this.down(event));
    canvas.addEventListener("pointermove", event => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, event => this.up(event));
    canvas.addEventListener("blur", () => { this.liftKeys(); this.pen.shown = false; this.draw(); });
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  get unit() { return this.height / (UP + DOWN + 2 * MARGIN); }
  get baseline() { return (UP + MARGIN) * this.unit; }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
    if (!width || !height) return;
    const before = this.width ? { width: this.width, unit: this.unit, baseline: this.baseline } : null;
    this.width = width;
    this.height = height;
    if (before) this.strokes.forEach(stroke => stroke.forEach(point => {
      point[0] = width / 2 + (point[0] - before.width / 2) * this.unit / before.unit;
      point[1] = this.baseline + (point[1] - before.baseline) * this.unit / before.unit;
    }));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").setTransform(scale, 0, 0, scale, 0, 0);
    this.draw();
  }

  // Only the pointer that began a stroke may go on with it: a palm that rests on the sheet writes nothing.
  down(event) {
    if (event.button || this.active !== null) return;
    event.preventDefault();
    this.liftKeys();
    this.pen.shown = false;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.active = event.pointerId;
    this.strokes.push([]);
    this.take(event);
    this.draw();
    this.changed();
  }

  move(event) {
    if (event.pointerId !== this.active) return;
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    (all.length ? all : [event]).forEach(one => this.take(one));
    this.draw();
  }

  up(event) {
    if (event.pointerId !== this.active) return;
    this.active = null;
    if (event.type === "pointercancel") this.strokes.pop();
    this.draw();
    this.changed();
  }

  take(event) {
    const box = this.canvas.getBoundingClientRect();
    const pressure = event.pointerType === "mouse" || !event.pressure ? 0.5 : event.pressure;
    this.add((event.clientX - box.left) * this.width / box.width, (event.clientY - box.top) * this.height / box.height, event.timeStamp / 1000, pressure);
  }

  add(x, y, seconds, pressure) {
    const stroke = this.strokes[this.strokes.length - 1], last = stroke[stroke.length - 1];
    if (last && Math.hypot(x - last[0], y - last[1]) < LEAST_PX) return;
    if (this.strokes.reduce((sum, s) => sum + s.length, 0) >= MOST_POINTS) return;
    stroke.push([Math.min(Math.max(x, 0), this.width), Math.min(Math.max(y, 0), this.height), Math.max(seconds, last ? last[2] : 0), pressure]);
  }

  // Arrow keys move the pen, space sets it down and lifts it.
  key(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by && event.key !== " ") return false;
    if (!this.pen.shown) Object.assign(this.pen, { x: this.width / 2, y: this.baseline - this.unit, shown: true });
    if (by) {
      const far = event.shiftKey ? KEY_FAST : KEY_STEP;
      this.pen.x = Math.min(Math.max(this.pen.x + by[0] * far, 0), this.width);
      this.pen.y = Math.min(Math.max(this.pen.y + by[1] * far, 0), this.height);
    } else if (this.pen.down) {
      this.liftKeys();
    } else {
      this.pen.down = true;
      this.strokes.push([]);
    }
    if (this.pen.down) this.add(this.pen.x, this.pen.y, event.timeStamp / 1000, 0.5);
    this.draw();
    this.changed();
    return true;
  }

  liftKeys() {
    if (!this.pen.down) return;
    this.pen.down = false;
    this.changed();
  }

  undo() { this.liftKeys(); this.strokes.pop(); this.draw(); this.changed(); }
  clear() { this.liftKeys(); this.strokes = []; this.active = null; this.draw(); this.changed(); }

  // What is on the sheet in units of the x-height; the left edge of the ink is x = 0.
  letter() {
    const written = this.strokes.filter(stroke => stroke.length), begun = written[0][0][2];
    const left = Math.min(...written.flat().map(point => point[0]));
    return written.map(stroke => ({
      x: stroke.map(p => round((p[0] - left) / this.unit)), y: stroke.map(p => round((p[1] - this.baseline) / this.unit)),
      t: stroke.map(p => round(p[2] - begun)), p: stroke.map(p => round(p[3])) }));
  }

  draw() {
    if (!this.width) return;
    const paint = this.canvas.getContext("2d"), style = getComputedStyle(this.canvas), ink = style.getPropertyValue("--st-text-color") || "#000";
    paint.clearRect(0, 0, this.width, this.height);
    this.guides(paint, style);
    Object.assign(paint, { lineCap: "round", lineJoin: "round", strokeStyle: ink, fillStyle: ink });
    for (const stroke of this.strokes) {
      if (stroke.length === 1) { paint.beginPath(); paint.arc(stroke[0][0], stroke[0][1], 2.2, 0, 7); paint.fill(); }
      for (let i = 1; i < stroke.length; i++) {
        paint.lineWidth = 1.4 + 3.2 * (stroke[i - 1][3] + stroke[i][3]) / 2;
        paint.beginPath();
        paint.moveTo(stroke[i - 1][0], stroke[i - 1][1]);
        paint.lineTo(stroke[i][0], stroke[i][1]);
        paint.stroke();
      }
    }
    if (this.pen.shown) this.cross(paint, style);
  }

  guides(paint, style) {
    const line = style.getPropertyValue("--st-border-color"), muted = style.getPropertyValue("--st-gray-text-color");
    paint.font = `14px ${style.fontFamily}`;
    for (const [at, dash, words] of [[-UP, [2, 6], "tall letters"], [-1, [7, 5], "x-height"], [0, [], "baseline"], [DOWN - 0.1, [2, 6], "hanging letters"]]) {
      const y = Math.round(this.baseline + at * this.unit) + 0.5;
      Object.assign(paint, { strokeStyle: at === 0 || at === -1 ? muted : line, lineWidth: at === 0 ? 1.5 : 1, fillStyle: muted });
      paint.setLineDash(dash);
      paint.beginPath();
      paint.moveTo(0, y);
      paint.lineTo(this.width, y);
      paint.stroke();
      paint.setLineDash([]);
      paint.fillText(words, 8, y - 5);
    }
  }

  cross(paint, style) {
    paint.strokeStyle = style.getPropertyValue("--st-primary-color");
    paint.lineWidth = 2;
    paint.beginPath();
    paint.moveTo(this.pen.x - 9, this.pen.y); paint.lineTo(this.pen.x + 9, this.pen.y);
    paint.moveTo(this.pen.x, this.pen.y - 9); paint.lineTo(this.pen.x, this.pen.y + 9);
    paint.stroke();
    if (this.pen.down) { paint.beginPath(); paint.arc(this.pen.x, this.pen.y, 5, 0, 7); paint.stroke(); }
  }
}

class Pad {
  constructor(root) {
    this.find = name => root.querySelector(name);
    this.letters = [];
    this.at = 0;
    this.turn = null;
    this.sheet = new Sheet(this.find("canvas"), () => this.buttons());
    this.find(".undo").onclick = () => this.sheet.undo();
    this.find(".clear").onclick = () => this.clear();
    this.find(".skip").onclick = () => this.go(this.following());
    this.find(".next").onclick = () => this.next();
    this.find("canvas").addEventListener("keydown", event => this.key(event));
  }

  update(data, send) {
    this.send = send;
    const other = !this.data || String(this.data.chars) !== String(data.chars);
    this.data = data;
    if (this.turn !== data.turn) { this.turn = data.turn; this.letters = data.letters.slice(); this.sheet.strokes = []; }
    if (other) { this.at = Math.max(0, data.chars.findIndex(char => !this.of(char).length)); this.sheet.strokes = []; }
    this.draw();
    this.sheet.draw();
  }

  of(char) { return this.letters.filter(letter => letter.char === char); }
  get char() { return this.data.chars[this.at]; }
  get finished() { return this.data.chars.every(char => this.of(char).length); }

  // The next letter that is not written yet, else the next one.
  following() {
    const many = this.data.chars.length, order = this.data.chars.map((_, i) => (this.at + 1 + i) % many);
    return order.find(i => i !== this.at && !this.of(this.data.chars[i]).length) ?? order[0];
  }

  go(index) {
    this.at = index;
    this.sheet.clear();
    this.draw();
  }

  next() {
    const wrote = this.sheet.strokes.some(stroke => stroke.length);
    if (!wrote) { if (this.finished) this.send({ letters: this.letters, finished: true }); return; }
    const char = this.char, older = this.of(char);
    if (older.length >= MOST_VARIANTS) this.letters.splice(this.letters.indexOf(older[0]), 1);
    this.letters.push({ char, strokes: this.sheet.letter() });
    const done = this.finished;
    this.find(".spoken").textContent = `${spoken(char)} taken.` + (done ? " All letters are written." : "");
    this.go(done ? this.at : this.following());
    this.send({ letters: this.letters, finished: false });
  }

  // Clears the sheet; an empty sheet: takes back the last version of this letter.
  clear() {
    if (this.sheet.strokes.length) { this.sheet.clear(); return; }
    const older = this.of(this.char);
    if (!older.length) return;
    this.letters.splice(this.letters.lastIndexOf(older[older.length - 1]), 1);
    this.draw();
    this.send({ letters: this.letters, finished: false });
  }

  key(event) {
    if (event.key === "Enter") this.next();
    else if (event.key === "Backspace" || (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey))) this.sheet.undo();
    else if (event.key === "Escape") this.sheet.clear();
    else if (!this.sheet.key(event)) return;
    event.preventDefault();
  }

  draw() {
    const written = this.data.chars.filter(char => this.of(char).length).length, prompt = this.find(".prompt");
    prompt.textContent = this.of(this.char).length ? "Another " : "Write ";
    element("b", "", this.char, prompt);
    this.find(".count").textContent = `${written} of ${this.data.chars.length} letters written`;
    this.find("canvas").setAttribute("aria-label", `Sheet for the letter ${spoken(this.char)}. Write with pen, finger or mouse. With keys: arrows move, space sets the pen down and lifts it, Enter takes the letter.`);
    this.chips();
    this.buttons();
  }

  chips() {
    const box = this.find(".chips"), focused = box.contains(box.getRootNode().activeElement);
    box.replaceChildren();
    this.data.chars.forEach((char, index) => {
      const own = this.of(char), chip = element("button", `chip${index === this.at ? " now" : ""}${own.length ? " done" : ""}`, "", box);
      chip.type = "button";
      chip.setAttribute("aria-label", `${spoken(char)}, ${own.length ? `written ${own.length === 1 ? "once" : `${own.length} times`}` : "not written"}`);
      if (index === this.at) chip.setAttribute("aria-current", "true");
      chip.onclick = () => { this.go(index); this.find("canvas").focus({ preventScroll: true }); };
      chip.appendChild(this.thumbnail(own[own.length - 1]));
      element("span", "", own.length > 1 ? `${char} ×${own.length}` : char, chip);
      if (focused && index === this.at) chip.focus();
    });
  }

  thumbnail(letter) {
    const svg = document.createElementNS(NS, "svg"), xs = letter ? letter.strokes.flatMap(s => s.x) : [0], middle = (Math.min(...xs) + Math.max(...xs)) / 2;
    svg.setAttribute("viewBox", `${middle - 1.6} -2 3.2 3.2`);
    (letter ? letter.strokes : []).forEach(stroke => {
      const path = svg.appendChild(document.createElementNS(NS, "path"));
      path.setAttribute("d", "M" + stroke.x.map((x, i) => `${x} ${stroke.y[i]}`).join("L") + (stroke.x.length === 1 ? "h.01" : ""));
    });
    svg.setAttribute("aria-hidden", "true");
    return svg;
  }

  buttons() {
    if (!this.data) return;
    const wrote = this.sheet.strokes.length > 0, next = this.find(".next");
    this.find(".undo").disabled = !wrote;
    this.find(".clear").disabled = !wrote && !this.of(this.char).length;
    this.find(".clear span").textContent = wrote || !this.of(this.char).length ? "Clear" : `Forget this ${this.char}`;
    this.find(".skip").hidden = this.data.chars.length < 2;
    next.disabled = !wrote && !this.finished;
    next.textContent = wrote || !this.finished ? `Take this ${this.char}` : this.data.done_word;
    this.find(".hint").textContent = wrote ? "Enter takes it" : "pen, finger or mouse";
  }
}

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  parentElement.pad = parentElement.pad || new Pad(parentElement);
  parentElement.pad.update(data, value => setTriggerValue("letters", value));
}
