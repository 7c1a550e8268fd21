// One join under a lens: the three weights are dragged, every join of the line is solved again here (join_solve.js stands before this file), and the three terms of the
// objective are drawn where they sit along the stroke.
// data: id, joined [{x, y, t, p, o}], joins [{left, right, kind, reason, gap, tail, head, tail_was, head_was, back, lead, stroke, at}] (merges and bridges; the first
// `back` points of a tail and the last `lead` of a head are no part of the solve), letters [{char, box}],
// box, baselines, weights, exact, cap, colours {connection, smoothness, displacement, tail, head}, at (join on show). Lengths in x-heights.
// Sends "weights": {connection, smoothness, displacement, exact}.
const SCALES = { connection: [-1, 6], smoothness: [-2, 3.5], displacement: [-4, 2] };
const WORDS = {
  connection: ["Connection", "closes the gap between tail and head"],
  smoothness: ["Smoothness", "keeps every bend the letter had"],
  displacement: ["Displacement", "keeps every point where it was drawn"] };
const NAMES = Object.keys(WORDS), MARGIN = 0.35, TALLEST = 44;
const put = (name, className, text, into) => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return into.appendChild(node);
};
const number = value => value === 0 ? "0" : Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3 ? value.toExponential(1).replace("e+", "e").replace("-", "\u2212") : String(Number(value.toPrecision(3)));

class Lens {
  constructor(root) {
    this.find = name => root.querySelector(name);
    this.pace = [];
    for (const name of [".mode", ".sliders", ".terms", ".key"]) this.find(name).replaceChildren();
    this.modes = [["Meet exactly", true], ["Pull together", false]].map(([words, exact]) => {
      const button = put("button", "", words, this.find(".mode"));
      button.type = "button";
      button.onclick = () => { this.exact = exact; this.solve(); };
      return button;
    });
    this.sliders = Object.fromEntries(NAMES.map(name => [name, this.slider(name)]));
    this.bars = Object.fromEntries(NAMES.map(name => {
      const row = put("div", "term", "", this.find(".terms"));
      put("span", "", WORDS[name][0], row);
      return [name, [put("i", "", "", put("div", "", "", row)), put("b", "", "", row)]];
    }));
    this.find(".back").onclick = () => this.go(this.at - 1);
    this.find(".on").onclick = () => this.go(this.at + 1);
    this.find(".take").onclick = () => this.send({ ...this.weights, exact: this.exact, nonce: Math.round(performance.now()) });
    this.find(".reset").onclick = () => { this.weights = { ...this.data.weights }; this.exact = this.data.exact; this.solve(); };
    this.watch = new ResizeObserver(() => { this.size = null; this.draw(); });
    this.watch.observe(this.find(".lens"));
  }

  slider(name) {
    const label = put("label", "slider", "", this.find(".sliders")), line = put("span", "", "", label), [low, high] = SCALES[name];
    put("span", "", WORDS[name][0], line);
    const value = put("b", "", "", line), input = put("input", "", "", label);
    put("small", "", WORDS[name][1], label);
    Object.assign(input, { type: "range", min: low, max: high, step: 0.02 });
    input.oninput = event => {
      this.moved = event.timeStamp || performance.now();
      this.weights[name] = 10 ** Number(input.value);
      if (name === "connection") this.exact = false;       // a weight that is dragged has to act
      this.solve();
    };
    return { input, value };
  }

  update(data, send) {
    this.send = send;
    if (this.data && this.data.id === data.id) return;
    this.at = this.data && this.data.joins.length === data.joins.length ? this.at : data.at;
    this.data = data;
    this.ends = data.joins.map(join => ({ tail: join.tail_was.slice(join.back), head: join.head_was.slice(0, join.head_was.length - join.lead) }));
    this.weights = { ...data.weights };
    this.exact = data.exact;
    for (const [name, [bar]] of Object.entries(this.bars)) bar.style.background = data.colours[name];
    const key = this.find(".key");
    key.replaceChildren();
    for (const [colour, words] of [["tail", "tail, circles"], ["head", "head, squares"], ["smoothness", "band along a link: bend"], ["displacement", "disc at a point: shift"], ["connection", "ring: gap"]]) {
      const item = put("span", "", "", key);
      put("i", "", "", item).style.background = data.colours[colour];
      item.append(words);
    }
    this.size = null;
    this.spots();
    this.solve();
  }

  spots() {
    this.find(".spots").replaceChildren();
    this.marks = this.data.joins.map((join, index) => {
      const spot = put("button", "spot", "", this.find(".spots"));
      spot.type = "button";
      spot.tabIndex = -1;
      spot.setAttribute("aria-label", `Join ${this.named(index)}`);
      spot.onclick = () => this.go(index);
      return spot;
    });
  }

  named(index) {
    const join = this.data.joins[index];
    return `“${this.data.letters[join.left].char}” to “${this.data.letters[join.right].char}”`;
  }

  go(index) {
    const many = this.data.joins.length;
    this.at = (index + many) % many;
    this.mark();
    this.draw();
  }

  // All joins of the line, then the picture; the time from the slider's event to the picture is what the page shows.
  solve() {
    const begun = performance.now();
    this.found = this.ends.map(({ tail, head }) => joinLetters(tail, head, this.weights, this.exact, this.data.cap));
    this.solved = performance.now() - begun;
    this.draw();                                             // before any words change: nothing has to be laid out for it
    NAMES.forEach(name => {
      if (!this.moved) this.sliders[name].input.value = Math.log10(this.weights[name]);
      this.sliders[name].value.textContent = name === "connection" && this.exact ? "no limit" : number(this.weights[name]);
      this.sliders[name].input.setAttribute("aria-valuetext", this.sliders[name].value.textContent);
    });
    this.modes.forEach((button, index) => button.setAttribute("aria-pressed", (index === 0) === this.exact));
    const from = this.moved;
    this.moved = null;
    if (from) requestAnimationFrame(() => {
      const channel = new MessageChannel();                 // runs after the frame was painted
      channel.port1.onmessage = () => this.took(performance.now() - from);
      channel.port2.postMessage(0);
    });
  }

  took(ms) {
    this.pace = [...this.pace, ms].slice(-31);
    const sorted = [...this.pace].sort((a, b) => a - b);
    this.find(".speed").textContent = `${this.data.joins.length} joins solved in ${this.solved.toFixed(1)} ms here in the browser; slider to picture ${sorted[Math.floor(sorted.length / 2)].toFixed(0)} ms (median of ${sorted.length})`;
  }

  draw() {
    if (!this.data || !this.found) return;
    if (!this.size) this.measure();
    this.whole();
    this.close();
    this.tell();
  }

  // Widths, heights and colours, read when the page or the line has changed and not while a slider is dragged: to read them is to lay the page out.
  measure() {
    const css = getComputedStyle(this.find(".lens")), of = name => css.getPropertyValue(name).trim(), [left, top, right, bottom] = this.data.box;
    this.colours = { ink: of("--st-text-color"), border: of("--st-border-color"), gray: of("--st-gray-color"), page: of("--st-background-color"), primary: of("--st-primary-color"), ...this.data.colours };
    const wide = this.find(".line").clientWidth, scale = Math.min(wide / (right - left + 2 * MARGIN), TALLEST), height = (bottom - top + 2 * MARGIN) * scale;
    this.find(".whole").style.height = `${height}px`;
    const close = this.find(".close");
    this.size = { scale, whole: [wide, height], close: [close.parentElement.clientWidth - 24, close.clientHeight] };
    const size = `${Math.min(Math.max(0.62 * scale, 12), 26)}px`;
    this.marks.forEach((spot, index) => {                     // shares of the line: they hold while the page narrows
      const [x, y] = this.found[index].head[0], share = [(x - left + MARGIN) * scale / wide, (y - top + MARGIN) * scale / height];
      Object.assign(spot.style, { left: `${100 * share[0]}%`, top: `${100 * share[1]}%`, width: size, height: size });
    });
    this.mark();
  }

  mark() {
    this.marks.forEach((spot, index) => { spot.classList.toggle("now", index === this.at); spot.tabIndex = index === this.at ? 0 : -1; });
  }

  canvas(name, [width, tall]) {
    const canvas = this.find(name), ratio = window.devicePixelRatio || 1;
    const paint = canvas.getContext("2d"), size = [Math.round(width * ratio), Math.round(tall * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;   // sets the canvas anew: only where it has to
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, tall);
    Object.assign(paint, { lineCap: "round", lineJoin: "round", globalAlpha: 1 });
    return { canvas, paint, width, height: tall };
  }

  // The strokes of the line with every join's points replaced by what was just solved: lists of [x, y], broken where a gap is left.
  strokes() {
    return this.data.joined.map((stroke, index) => {
      const points = stroke.x.map((x, i) => [x, stroke.y[i]]), own = this.data.joins.map((join, k) => [join, this.found[k]]).filter(([join]) => join.stroke === index).sort((a, b) => a[0].at - b[0].at);
      const made = [[]];
      let at = 0;
      for (const [join, now] of own) {
        const from = join.at - join.tail.length + 1, shared = join.gap === 0 ? 1 : 0, tail = [...join.tail_was.slice(0, join.back), ...now.tail];
        made[made.length - 1].push(...points.slice(at, Math.max(from, at)), ...tail.slice(Math.max(at - from, 0)));
        if (now.gap > 0.02) made.push([]);
        made[made.length - 1].push(...now.head, ...join.head_was.slice(join.head_was.length - join.lead));
        at = join.at + 1 - shared + join.head.length;
      }
      made[made.length - 1].push(...points.slice(at));
      return made;
    }).flat().filter(points => points.length);
  }

  path(paint, points, place) {
    paint.beginPath();
    points.forEach((point, i) => { const [x, y] = place(point); if (i) paint.lineTo(x, y); else paint.moveTo(x, y); });
    if (points.length === 1) { const [x, y] = place(points[0]); paint.lineTo(x + 0.01, y); }
    paint.stroke();
  }

  whole() {
    const [left, top] = this.data.box, { scale } = this.size;
    if (!this.size.whole[0]) return;
    const { canvas, paint } = this.canvas(".whole", this.size.whole), place = ([x, y]) => [(x - left + MARGIN) * scale, (y - top + MARGIN) * scale];
    canvas.setAttribute("aria-label", `The whole line with these weights, ${this.found.filter(join => join.fits).length} of ${this.found.length} joins made`);
    this.drawn = this.strokes();
    Object.assign(paint, { strokeStyle: this.colours.ink, lineWidth: Math.max(1.3, scale * 0.075) });
    this.drawn.forEach(points => this.path(paint, points, place));
  }

  close() {
    const now = this.found[this.at], was = this.ends[this.at], [wide, tall] = this.size.close;
    if (!(wide > 0) || !tall || !this.drawn) return;
    const { canvas, paint, width, height } = this.canvas(".close", this.size.close);
    const near = [...was.tail, ...was.head, ...this.data.joins[this.at].tail, ...this.data.joins[this.at].head], xs = near.map(p => p[0]), ys = near.map(p => p[1]);
    const [left, right, top, bottom] = [Math.min(...xs) - 0.3, Math.max(...xs) + 0.3, Math.min(...ys) - 0.3, Math.max(...ys) + 0.3];
    const scale = Math.min(width / (right - left), height / (bottom - top)), place = ([x, y]) => [width / 2 + (x - (left + right) / 2) * scale, height / 2 + (y - (top + bottom) / 2) * scale];
    canvas.setAttribute("aria-label", `The join ${this.named(this.at)} enlarged: gap ${now.gap.toFixed(3)}, largest shift ${now.moved.toFixed(2)} x-heights`);
    paint.globalAlpha = 0.22;
    Object.assign(paint, { strokeStyle: this.colours.ink, lineWidth: Math.max(3, scale * 0.05) });
    const middle = (left + right) / 2, half = width / 2 / scale + 0.5;
    for (const points of this.drawn) {                        // only the runs of points that come under the glass
      let run = [];
      for (const point of [...points, null]) {
        if (point && Math.abs(point[0] - middle) < half) run.push(point);
        else if (run.length) { this.path(paint, run, place); run = []; }
      }
    }
    paint.globalAlpha = 1;
    this.ghost(paint, was, place);
    this.energies(paint, now, was, place);
    this.bent(paint, now, place);
  }

  // The letters as they were drawn: dashed.
  ghost(paint, was, place) {
    paint.setLineDash([3, 5]);
    Object.assign(paint, { strokeStyle: this.colours.gray, lineWidth: 2 });
    this.path(paint, was.tail, place);
    this.path(paint, was.head, place);
    paint.setLineDash([]);
  }

  // Where the objective sits: a band along every link, a disc at every point, a ring round the gap. Areas grow with the energy, on one scale for all three.
  energies(paint, now, drawn, place) {
    const most = Math.max(...now.smoothness, ...now.displacement, now.connection, 1e-4), size = value => Math.sqrt(value / most);
    const rows = [now.tail, now.head], was = [drawn.tail, drawn.head];
    let link = 0, point = 0;
    rows.forEach((points, side) => points.forEach((at, i) => {
      const [x, y] = place(at), [u, v] = place(was[side][i]);
      if (i) {
        const [x0, y0] = place(points[i - 1]);
        Object.assign(paint, { strokeStyle: this.colours.smoothness, globalAlpha: 0.35, lineWidth: 5 + 26 * size(now.smoothness[link++]), lineCap: "butt" });
        paint.beginPath(); paint.moveTo(x0, y0); paint.lineTo(x, y); paint.stroke();
      }
      Object.assign(paint, { strokeStyle: this.colours.displacement, fillStyle: this.colours.displacement, globalAlpha: 0.8, lineWidth: 1.5, lineCap: "round" });
      paint.beginPath(); paint.moveTo(u, v); paint.lineTo(x, y); paint.stroke();
      paint.globalAlpha = 0.4;
      paint.beginPath(); paint.arc(x, y, 16 * size(now.displacement[point++]), 0, 7); paint.fill();
    }));
    const [a, b] = [place(now.tail[now.tail.length - 1]), place(now.head[0])];
    Object.assign(paint, { strokeStyle: this.colours.connection, globalAlpha: 1, lineWidth: 2.5 });
    paint.beginPath(); paint.moveTo(...a); paint.lineTo(...b); paint.stroke();
    paint.beginPath(); paint.arc((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, 9 + 20 * size(now.connection), 0, 7); paint.stroke();
  }

  bent(paint, now, place) {
    for (const [points, colour, square] of [[now.tail, this.colours.tail, false], [now.head, this.colours.head, true]]) {
      Object.assign(paint, { strokeStyle: colour, fillStyle: this.colours.page, lineWidth: 3, globalAlpha: 1 });
      this.path(paint, points, place);
      points.forEach((point, i) => {
        const [x, y] = place(point), fixed = square ? i === points.length - 1 : i === 0, r = fixed ? 5.5 : 3.6;
        paint.beginPath();
        if (square) paint.rect(x - r, y - r, 2 * r, 2 * r); else paint.arc(x, y, r, 0, 7);
        paint.fillStyle = fixed ? colour : this.colours.page;
        paint.lineWidth = 2;
        paint.fill();
        paint.stroke();
      });
    }
  }

  tell() {
    const now = this.found[this.at], join = this.data.joins[this.at], which = this.find(".which"), sum = values => values.reduce((a, b) => a + b, 0);
    which.textContent = this.named(this.at);
    put("small", "", `join ${this.at + 1} of ${this.data.joins.length}: ${join.kind}, ${join.reason}`, which);
    const terms = { connection: now.connection, smoothness: sum(now.smoothness), displacement: sum(now.displacement) }, most = Math.max(...Object.values(terms), 1e-12);
    NAMES.forEach(name => { const [bar, words] = this.bars[name]; bar.style.width = `${100 * terms[name] / most}%`; words.textContent = number(terms[name]); });
    this.find(".numbers").textContent = now.fits ? `gap ${now.gap === 0 ? "0" : number(now.gap)}, largest shift ${now.moved.toFixed(2)} x-heights; filled points are fixed`
                                                 : `A point would move ${now.moved.toFixed(2)} x-heights, and ${this.data.cap} is the limit: here the pen is lifted`;
  }

  end() { this.watch.disconnect(); }
}

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  parentElement.lens = parentElement.lens || new Lens(parentElement);
  parentElement.lens.update(data, value => setTriggerValue("weights", value));
  return () => { if (parentElement.lens) { parentElement.lens.end(); parentElement.lens = null; } };
}
