// Replays a decoding over its picture: one step per decoder call. Everything it draws comes with `data`; it asks nobody for anything.
const SVG = "http://www.w3.org/2000/svg";
const MILLISECONDS_IN_ALL = 7000, LEAST_PER_CALL = 90, MOST_PER_CALL = 900;

const svg = (name, attributes, parent) => {
  const node = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  return parent.appendChild(node);
};
const html = (name, className, text, parent) => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return parent.appendChild(node);
};
const kind = token => token.drafted ? "drafted" : "own";
const count = (number, word) => number.toLocaleString("en-GB") + " " + word + (number === 1 ? "" : "s");

// The picture as the net saw it, a ruler along its top and left edge, and one hidden shape per token.
function drawStage(svgRoot, data) {
  const [width, height] = data.size, rim = Math.max(width, height) * 0.03;
  svgRoot.replaceChildren();
  svgRoot.setAttribute("aria-label", data.alt);
  svgRoot.setAttribute("viewBox", [-rim, -rim, width + rim * 1.3, height + rim * 1.3].join(" "));
  const clip = svg("clipPath", { id: "frame" }, svgRoot);
  svg("rect", { width, height }, clip);
  const paper = svg("g", { "clip-path": "url(#frame)" }, svgRoot);
  svg("rect", { width, height, class: "paper" }, paper);
  svg("image", { href: data.picture, width: data.input[0], height: data.input[1], preserveAspectRatio: "none",
                 transform: `matrix(${data.to_stage.join(" ")})` }, paper);
  svg("path", { d: `M0 ${height}V0H${width}`, class: "ruler" }, svgRoot);
  const [places, cells, lines, ticks] = ["places", "cells", "lines", "ticks"].map(name => svg("g", { class: name }, svgRoot));
  const outlines = data.cells.map(() => svg("rect", { class: "cell off" }, cells));
  const shapes = data.tokens.map(token => {
    const [x0, y0, x1, y1] = token.box, look = { class: `${kind(token)} off` };
    const ruled = (tick, line) => [svg("path", { ...look, d: line }, lines), svg("path", { ...look, d: tick }, ticks)];
    if (token.kind === "column") return ruled(`M${x0} ${-rim}V0`, `M${x0} 0V${height}`);
    if (token.kind === "row" || token.kind === "end") {
      const y = token.kind === "row" ? y0 : y1;
      return ruled(`M${-rim} ${y}H0`, `M0 ${y}H${width}`);
    }
    return [svg("rect", { ...look, x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) }, places)];
  });
  return { shapes, outlines };
}

// The tokens as text, one line per table row.
function drawText(box, data) {
  box.replaceChildren();
  let line = null;
  return data.tokens.map(token => {
    if (token.kind === "row" || !line) line = html("div", "line", "", box);
    return html("span", `token ${token.kind} ${kind(token)} off`, token.text, line);
  });
}

// One bar per call: what was confirmed, the decoder's own token on top, and hollow above it what was proposed in vain.
function drawCalls(svgRoot, data) {
  const many = data.calls.length, tallest = Math.max(...data.calls.map(call => Math.max(call.proposed, call.accepted) + 1));
  svgRoot.replaceChildren();
  svgRoot.setAttribute("viewBox", `0 0 ${many} ${tallest}`);
  return data.calls.map((call, index) => {
    const group = svg("g", { class: "off" }, svgRoot), x = index + 0.12, width = 0.76;
    const bar = (from, to, name) => to > from && svg("rect", { x, y: tallest - to, width, height: to - from, class: name }, group);
    bar(0, call.accepted, "drafted");
    bar(call.accepted, call.accepted + 1, "own");
    bar(call.accepted + 1, call.proposed, "vain");
    return group;
  });
}

class Player {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = name => root.querySelector(name);
    this.ends = data.calls.map((call, index) => data.tokens.filter(token => token.call <= index).length);
    Object.assign(this, drawStage(this.find(".stage"), data));
    this.chips = drawText(this.find(".text"), data);
    this.bars = drawCalls(this.find(".calls"), data);
    this.slider = this.find("input");
    this.slider.max = data.calls.length;
    this.shown = 0;
    this.timer = null;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
    this.motion();
    this.goto(data.calls.length);
  }

  listen() {
    this.find(".play").onclick = () => this.timer ? this.pause() : this.play();
    this.find(".back").onclick = () => this.step(-1);
    this.find(".on").onclick = () => this.step(1);
    this.slider.oninput = () => { this.pause(); this.goto(Number(this.slider.value)); };
    this.onMotion = () => this.motion();
    this.still.addEventListener("change", this.onMotion);
  }

  motion() {
    this.find(".play").hidden = this.still.matches;
    if (this.still.matches) this.pause();
  }

  end() {
    this.pause();
    this.still.removeEventListener("change", this.onMotion);
  }

  step(by) {
    this.pause();
    this.goto(Math.min(this.data.calls.length, Math.max(0, this.call + by)));
  }

  play() {
    if (this.call >= this.data.calls.length) this.goto(0);
    const perCall = Math.min(MOST_PER_CALL, Math.max(LEAST_PER_CALL, MILLISECONDS_IN_ALL / this.data.calls.length));
    const from = this.call, begun = performance.now();
    const tick = now => {
      const at = Math.min(this.data.calls.length, from + Math.max(0, now - begun) / perCall), call = Math.floor(at);
      const before = call ? this.ends[call - 1] : 0, after = call < this.ends.length ? this.ends[call] : before;
      // The tokens of a call are confirmed all at once; they are shown one after the other so that the eye can follow.
      this.reveal(before + Math.ceil((after - before) * Math.min(1, 1.4 * (at - call))), Math.ceil(at), call);
      if (call >= this.data.calls.length) this.pause();
      else this.timer = requestAnimationFrame(tick);
    };
    this.find(".play").classList.add("playing");
    this.find(".play span").textContent = "Pause";
    this.find(".said").removeAttribute("aria-live");
    this.timer = requestAnimationFrame(tick);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = null;
    this.find(".play").classList.remove("playing");
    this.find(".play span").textContent = "Play the decoding";
    this.find(".said").setAttribute("aria-live", "polite");
  }

  goto(call) {
    this.reveal(call ? this.ends[call - 1] : 0, call, call);
  }

  // tokens: how many of them are on show; call: how many calls have begun; done: how many of these have ended
  reveal(tokens, call, done) {
    this.call = done;
    for (; this.shown < tokens; this.shown++) this.toggle(this.shown, true);
    for (; this.shown > tokens; this.shown--) this.toggle(this.shown - 1, false);
    this.mark(tokens, call);
    this.bars.forEach((bar, index) => bar.setAttribute("class", index < call ? index === call - 1 ? "now" : "" : "off"));
    this.slider.value = call;
    this.tell(tokens, call);
  }

  toggle(index, on) {
    this.chips[index].classList.toggle("off", !on);
    this.shapes[index].forEach(shape => shape.classList.toggle("off", !on));
    const token = this.data.tokens[index];
    if (token.cell == null) return;
    const box = on ? token.grown : token.before, outline = this.outlines[token.cell];
    outline.setAttribute("class", box ? "cell" : "cell off");
    if (box) ["x", "y", "width", "height"].forEach((name, i) => outline.setAttribute(name, i < 2 ? box[i] : Math.max(0, box[i] - box[i - 2])));
  }

  // The tokens of the call under way stand out, until the last one has ended.
  mark(tokens, call) {
    (this.marked || []).forEach(node => node.classList.remove("now"));
    const ended = tokens === this.data.tokens.length;
    this.root.querySelector(".player").classList.toggle("ended", ended);
    this.marked = ended ? [] : this.data.tokens.flatMap((token, i) => token.call === call - 1 && i < tokens ? [this.chips[i], ...this.shapes[i]] : []);
    this.marked.forEach(node => node.classList.add("now"));
    const text = this.find(".text"), last = this.chips[tokens - 1];
    text.scrollTop = last && !ended ? last.offsetTop - text.offsetTop - text.clientHeight * 0.75 : 0;
  }

  tell(tokens, call) {
    const all = this.data.tokens.length, about = this.data.calls[call - 1], own = this.data.tokens[this.ends[call - 1] - 1];
    const put = (name, words) => { this.find(name).textContent = words; };
    put(".number.tokens", tokens.toLocaleString("en-GB"));
    put(".number.made", call.toLocaleString("en-GB"));
    put(".number.saved", Math.max(0, tokens - call).toLocaleString("en-GB"));
    this.find(".lane.ours i").style.width = 100 * tokens / all + "%";
    this.find(".lane.greedy i").style.width = 100 * call / all + "%";
    put(".lane.ours b", count(tokens, "token"));
    put(".lane.greedy b", count(call, "token"));
    put(".after", "After " + count(call, "decoder call"));
    put(".said", about ? `Call ${call} of ${this.data.calls.length}: ${about.proposed} proposed, ${about.accepted} confirmed, then its own ${own.text}`
                       : "Nothing written yet");
    this.slider.setAttribute("aria-valuetext", `call ${call} of ${this.data.calls.length}, ${tokens} of ${all} tokens`);
  }
}

export default function (component) {
  const { parentElement, data } = component;
  const root = parentElement;
  if (root.player && root.player.data.id === data.id) return;
  if (root.player) root.player.end();
  root.player = new Player(root, data);
  return () => { if (root.player) root.player.end(); };
}
