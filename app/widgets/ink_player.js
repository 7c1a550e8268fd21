// Writes ink at the speed it was drawn, on one or two sheets with the same scale; a letter can be chosen and changed.
// data: id, sheets [{title, label, strokes [{x, y, t, p, c, o}], box [left, top, right, bottom], baselines [y]}] (c: index into parts per point, o: letter per point),
// parts [{name, colour}], letters [{char, box, borrowed}] (on the first sheet), tallest (px per x-height at most), both (show both sheets), bare (no controls), coloured, autoplay, editable, said.
// Units: x-height 1, y down, seconds. Sends "edit": {what: replace | insert | delete, at, char}.
const MARGIN = 0.35, LEAST_GAP_S = 0.02, LONGEST_GAP_S = 0.35, SPEEDS = [1, 2, 4], PATIENCE_S = 9;
const NS = "http://www.w3.org/2000/svg";
const make = (name, className, text, into) => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return into.appendChild(node);
};
const nameOf = char => char === " " ? "space" : `“${char}”`;

// Straight pieces in the order of writing, each with the moment it is there: a pause of the pen is shortened so that nobody waits.
function pieces(strokes) {
  const found = [];
  let clock = 0, last = null;
  for (const s of strokes) {
    clock += last === null ? 0 : Math.min(Math.max(s.t[0] - last, LEAST_GAP_S), LONGEST_GAP_S);
    const begun = clock;
    for (let i = 0; i < s.x.length; i++) {
      clock = Math.max(clock, begun + s.t[i] - s.t[0]);
      if (!i && s.x.length > 1) continue;
      const k = Math.max(i - 1, 0);
      found.push({ x0: s.x[k], y0: s.y[k], x1: s.x[i], y1: s.y[i], at: clock, width: (s.p[k] + s.p[i]) / 2, part: s.c ? s.c[i] : -1, owner: s.o ? s.o[i] : null });
    }
    last = s.t[s.t.length - 1];
  }
  return found;
}

class Sheet {
  constructor(into, sheet, data) {
    this.data = data;
    this.node = make("div", "sheet", "", into);
    if (sheet.title) make("p", "", sheet.title, this.node);
    this.stage = make("div", "", "", this.node);
    this.stage.style.position = "relative";
    this.canvas = make("canvas", "", "", this.stage);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", sheet.label);
    Object.assign(this, { strokes: sheet.strokes, box: sheet.box, baselines: sheet.baselines });
    this.pieces = pieces(sheet.strokes);
    this.seconds = this.pieces.length ? this.pieces[this.pieces.length - 1].at : 0;
  }

  fit(width) {
    const [left, top, right, bottom] = this.box, ratio = window.devicePixelRatio || 1, widest = Math.max(...this.data.sheets.map(sheet => sheet.box[2] - sheet.box[0]));
    this.scale = Math.min(width / (widest + 2 * MARGIN), this.data.tallest);
    this.left = left - MARGIN;
    this.top = top - MARGIN;
    this.width = Math.min(width, (right - left + 2 * MARGIN) * this.scale);
    this.height = (bottom - top + 2 * MARGIN) * this.scale;
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${this.height}px` });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.paint = this.canvas.getContext("2d");
    this.paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.wide = width;
    this.drawn = -1;
  }

  px(x, y) { return [(x - this.left) * this.scale, (y - this.top) * this.scale]; }

  // Draws up to `seconds`; going forward only what is new.
  show(seconds, coloured, style) {
    if (this.drawn < 0 || seconds < this.drawn) this.clean(style);
    const from = this.drawn;
    for (const piece of this.pieces) if (piece.at > from && piece.at <= seconds) this.piece(piece, coloured, style);
    this.drawn = Math.max(seconds, 0);
  }

  clean(style) {
    this.paint.clearRect(0, 0, this.wide, this.height);
    this.paint.strokeStyle = style.border;
    this.paint.lineWidth = 1;
    for (const y of this.baselines) {
      const [, at] = this.px(0, y);
      this.paint.beginPath();
      this.paint.moveTo(0, Math.round(at) + 0.5);
      this.paint.lineTo(this.wide, Math.round(at) + 0.5);
      this.paint.stroke();
    }
    Object.assign(this.paint, { strokeStyle: style.ink, lineWidth: Math.max(1.3, this.scale * 0.07), globalAlpha: 0.16, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.strokes) this.ghost(stroke);
    this.paint.globalAlpha = 1;
    this.drawn = -0.5;
  }

  // What is still to be written, in one go per stroke: pieces laid over each other would show their seams.
  ghost(stroke) {
    this.paint.beginPath();
    stroke.x.forEach((x, i) => { const [u, v] = this.px(x, stroke.y[i]); if (i) this.paint.lineTo(u, v); else this.paint.moveTo(u, v); });
    this.paint.stroke();
  }

  piece(piece, coloured, style) {
    const paint = this.paint, [x0, y0] = this.px(piece.x0, piece.y0), [x1, y1] = this.px(piece.x1, piece.y1);
    const borrowed = piece.owner !== null && this.data.letters[piece.owner]?.borrowed, part = this.data.parts[piece.part];
    const colour = borrowed ? style.borrowed : coloured && part ? part.colour : style.ink;
    Object.assign(paint, { lineCap: "round", lineJoin: "round", strokeStyle: colour, fillStyle: colour });
    paint.lineWidth = Math.max(1.3, this.scale * (0.035 + 0.075 * piece.width));
    paint.beginPath();
    if (x0 === x1 && y0 === y1) { paint.arc(x0, y0, paint.lineWidth * 0.75, 0, 7); paint.fill(); } else { paint.moveTo(x0, y0); paint.lineTo(x1, y1); paint.stroke(); }
  }
}

class Player {
  constructor(root) {
    this.root = root;
    this.find = name => root.querySelector(name);
    this.speed = 1;
    this.chosen = null;
    this.timer = null;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.find(".play").onclick = () => this.timer ? this.pause() : this.play();
    this.slider = this.find("input[type=range]");
    this.slider.oninput = () => { this.pause(); this.goto(this.seconds * this.slider.value / 1000); };
    this.find(".colour").onclick = () => { this.coloured = !this.coloured; this.pressed(); this.redraw(); };
    this.find(".close").onclick = () => this.choose(null);
    this.find(".before").onclick = () => this.edit("insert");
    this.find(".remove").onclick = () => this.edit("delete");
    this.find(".editor").onsubmit = event => { event.preventDefault(); this.edit("replace"); };
    this.find(".speed").replaceChildren();
    this.find(".sides").replaceChildren();
    SPEEDS.forEach(speed => {
      const button = make("button", "", `${speed}×`, this.find(".speed"));
      button.type = "button";
      button.onclick = () => { this.speed = speed; this.paced = true; this.pressed(); if (this.timer) { this.pause(); this.play(); } };
    });
    ["Both", "Joined", "Not joined"].forEach((words, index) => {
      const button = make("button", "", words, this.find(".sides"));
      button.type = "button";
      button.onclick = () => { this.side = index; this.pressed(); this.layout(); };
    });
    this.watch = new ResizeObserver(() => this.layout());
    this.watch.observe(this.find(".sheets"));
    this.still.addEventListener("change", this.onMotion = () => this.motion());
  }

  update(data, send) {
    this.send = send;
    if (this.data && this.data.id === data.id) return;
    const kept = this.data && this.chosen !== null && data.chosen === undefined ? null : data.chosen ?? null;
    if (!this.data) Object.assign(this, { coloured: data.coloured, side: data.sheets.length > 1 ? (data.both ? 0 : 1) : 1 });
    this.data = data;
    this.pause();
    this.find(".sheets").replaceChildren();
    this.sheets = data.sheets.map(sheet => new Sheet(this.find(".sheets"), sheet, data));
    this.seconds = Math.max(...this.sheets.map(sheet => sheet.seconds), 0.01);
    this.find(".sides").hidden = data.sheets.length < 2;
    this.find(".said").textContent = data.said;
    this.find(".controls").hidden = this.find(".said").hidden = Boolean(data.bare);
    if (!this.paced) this.speed = SPEEDS.find(speed => this.seconds / speed <= PATIENCE_S) || SPEEDS[SPEEDS.length - 1];
    this.legend();
    this.pressed();
    this.places();
    this.now = this.seconds;
    this.layout();
    this.choose(kept);
    this.motion();
    const played = globalThis.vitrineInkPlayed = globalThis.vitrineInkPlayed || new Set();
    if (data.autoplay && !this.still.matches && !played.has(data.id)) { played.add(data.id); this.goto(0); this.play(); }
  }

  style() {
    const css = getComputedStyle(this.find(".player")), of = name => css.getPropertyValue(name).trim();
    return { ink: of("--st-text-color"), border: of("--st-border-color"), borrowed: of("--st-gray-color") };
  }

  motion() {
    this.find(".play").hidden = this.find(".speed").hidden = this.still.matches;
    if (this.still.matches) this.pause();
  }

  pressed() {
    [...this.find(".speed").children].forEach((button, index) => button.setAttribute("aria-pressed", SPEEDS[index] === this.speed));
    [...this.find(".sides").children].forEach((button, index) => button.setAttribute("aria-pressed", index === this.side));
    this.find(".colour").setAttribute("aria-pressed", this.coloured);
    this.find(".key").hidden = !this.coloured || Boolean(this.data.bare);
  }

  legend() {
    const key = this.find(".key"), there = new Set(this.sheets.flatMap(sheet => sheet.pieces.map(piece => piece.part)));
    key.replaceChildren();
    this.data.parts.filter((_, index) => there.has(index)).forEach(part => {
      const item = make("span", "", "", key), svg = item.appendChild(document.createElementNS(NS, "svg")), line = svg.appendChild(document.createElementNS(NS, "path"));
      svg.setAttribute("viewBox", "0 0 16 8");
      svg.setAttribute("aria-hidden", "true");
      line.setAttribute("d", "M1 6C5 7 9 6 15 1");
      line.setAttribute("style", `fill:none;stroke:${part.colour};stroke-width:2.4;stroke-linecap:round`);
      item.append(part.name);
    });
    if (this.data.letters.some(letter => letter.borrowed)) make("span", "", "grey: borrowed from another hand", key);
  }

  layout() {
    if (!this.data) return;
    const width = this.find(".sheets").clientWidth;
    if (!width) return;
    this.sheets.forEach((sheet, index) => { sheet.node.hidden = this.sheets.length > 1 && this.side !== 0 && this.side !== index + 1; sheet.fit(width); });
    this.put();
    this.redraw();
  }

  // One button per letter over the joined sheet; one tab stop for all of them, the arrow keys move along the text.
  places() {
    const box = make("div", "places", "", this.sheets[0].stage);
    this.buttons = this.data.editable ? this.data.letters.map((letter, index) => {
      const place = make("button", "place", "", box);
      place.type = "button";
      place.tabIndex = index ? -1 : 0;
      place.setAttribute("aria-label", `${letter.char}, letter ${index + 1} of ${this.data.letters.length}${letter.borrowed ? ", borrowed" : ""}. Type another to change it.`);
      place.onclick = () => this.choose(index);
      place.onkeydown = event => this.key(event, index);
      return place;
    }) : [];
  }

  put() {
    this.buttons.forEach((place, index) => {
      const [left, top, right, bottom] = this.data.letters[index].box, sheet = this.sheets[0];
      const [x, y] = sheet.px(left, top), [u, v] = sheet.px(right, bottom);
      Object.assign(place.style, { left: `${x - 2}px`, top: `${y - 4}px`, width: `${Math.max(u - x, 12) + 4}px`, height: `${Math.max(v - y, 12) + 8}px` });
    });
  }

  key(event, index) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) {
      const to = this.buttons[Math.min(Math.max(index + by, 0), this.buttons.length - 1)];
      this.buttons.forEach(button => { button.tabIndex = button === to ? 0 : -1; });
      to.focus();
    } else if (event.key === "Escape") this.choose(null);
    else if (event.key === "Backspace" || event.key === "Delete") this.edit("delete", index);
    else if ([...event.key].length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) this.edit("replace", index, event.key);
    else return;
    event.preventDefault();
  }

  choose(index) {
    this.chosen = index !== null && index < this.data.letters.length ? index : null;
    this.buttons.forEach((button, i) => button.classList.toggle("chosen", i === this.chosen));
    const editor = this.find(".editor");
    editor.hidden = this.chosen === null;
    if (this.chosen === null) return;
    const letter = this.data.letters[this.chosen];
    this.find(".which").textContent = `${nameOf(letter.char)}, letter ${this.chosen + 1} of ${this.data.letters.length}`;
    this.find(".char").value = "";
    this.find(".char").placeholder = letter.char;
  }

  edit(what, at = this.chosen, char = this.find(".char").value.trim()) {
    if (at === null || (what !== "delete" && !char)) { this.find(".char").focus(); return; }
    this.find(".spoken").textContent = what === "delete" ? "Letter taken out." : `${char} written.`;
    this.send({ what, at, char: what === "delete" ? "" : char, nonce: Math.round(performance.now()) });
  }

  play() {
    if (this.now >= this.seconds) this.goto(0);
    const from = this.now, begun = performance.now();
    const tick = now => {
      this.goto(Math.min(this.seconds, from + Math.max(0, now - begun) / 1000 * this.speed));
      if (this.now >= this.seconds) this.pause();
      else this.timer = requestAnimationFrame(tick);
    };
    this.find(".play").classList.add("playing");
    this.find(".play span").textContent = "Pause";
    this.timer = requestAnimationFrame(tick);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = null;
    this.find(".play").classList.remove("playing");
    this.find(".play span").textContent = "Write it again";
  }

  goto(seconds) {
    this.now = seconds;
    const style = this.style();
    this.sheets.forEach(sheet => { if (!sheet.node.hidden && sheet.paint) sheet.show(seconds, this.coloured, style); });
    this.slider.value = Math.round(1000 * seconds / this.seconds);
    this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.seconds.toFixed(1)} seconds`);
    this.find(".clock").textContent = `${seconds.toFixed(1)} of ${this.seconds.toFixed(1)} s`;
  }

  redraw() {
    if (!this.data || !this.sheets[0].paint) return;
    this.sheets.forEach(sheet => { sheet.drawn = -1; });
    this.goto(this.now);
  }

  end() {
    this.pause();
    this.watch.disconnect();
    this.still.removeEventListener("change", this.onMotion);
  }
}

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  parentElement.player = parentElement.player || new Player(parentElement);
  parentElement.player.update(data, value => setTriggerValue("edit", value));
  return () => { if (parentElement.player) { parentElement.player.end(); parentElement.player = null; } };
}
