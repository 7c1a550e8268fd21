// A floor plan with radios and users that can be dragged (mouse, pen, finger) or moved with the arrow keys, over a coverage map.
// data: width_m, depth_m, walls [[x0, y0, x1, y1, loss_db]], radios [[x, y]], users [[x, y]], heat {nx, ny, dbm, best, holes_dbm, low_dbm, high_dbm, palette, hole},
// sending [indices], said (one sentence under the plan), fixed (false: users are drawn anew for each drop), turn. Sends "moved": {radios, users, what, index}.
const NS = "http://www.w3.org/2000/svg";
const STEP_M = 0.5, FAST_M = 2, SEND_MS = 160, EDGE = 18, TALLEST = 330;
const make = (name, into, attributes) => {
  const node = document.createElementNS(NS, name);
  Object.entries(attributes || {}).forEach(([key, value]) => node.setAttribute(key, value));
  into.appendChild(node);
  return node;
};
const nice = value => (Math.round(value * 10) / 10).toFixed(1);

function plan(root) {
  const svg = root.querySelector("svg"), readout = root.querySelector(".readout"), spoken = root.querySelector(".spoken"), key = root.querySelector(".key");
  const layers = Object.fromEntries(["heat", "walls", "users", "radios"].map(name => [name, make("g", svg, { class: name })]));
  let data = null, send = () => {}, held = null, scale = 1, waiting = 0, last = 0;
  const places = { radios: [], users: [] }, marks = { radios: [], users: [] };
  const word = (what, index) => (what === "radios" ? "Radio " : "User ") + (index + 1);
  const at = ([x, y]) => [x * scale, (data.depth_m - y) * scale];

  // What a drop says goes out at once and as it is: an answer to an earlier move may set the places back before a timer comes round.
  function tell(now) {
    clearTimeout(waiting);
    const value = JSON.parse(JSON.stringify({ radios: places.radios, users: places.users, what: held ? held.what : null, index: held ? held.index : null }));
    const out = () => { last = performance.now(); send(value); };
    if (now) out();
    else waiting = setTimeout(out, Math.max(0, SEND_MS - (performance.now() - last)));
  }

  function put(what, index, x, y) {
    const keep = value => Math.round(value * 10) / 10;
    places[what][index] = [keep(Math.min(Math.max(x, 0), data.width_m)), keep(Math.min(Math.max(y, 0), data.depth_m))];
    stand(what, index);
  }

  function stand(what, index) {
    const [x, y] = places[what][index], [left, top] = at(places[what][index]);
    marks[what][index].setAttribute("transform", `translate(${left},${top})`);
    marks[what][index].setAttribute("aria-label", `${word(what, index)} at ${nice(x)}, ${nice(y)} metres. Arrow keys move it.`);
  }

  function mark(what, index) {
    const group = make("g", layers[what], { tabindex: "0", role: "button", "aria-roledescription": "movable place on the floor plan", class: "mark" });
    make("circle", group, { r: 17, class: "grip" });
    if (what === "radios") {
      make("rect", group, { x: -11, y: -11, width: 22, height: 22, rx: 2, class: "radio" });
      make("text", group, { "text-anchor": "middle", dy: "0.36em", class: "number" }).textContent = index + 1;
    } else {
      make("circle", group, { r: 5.5, class: "user" });
    }
    group.addEventListener("pointerdown", event => {
      if (event.button) return;
      held = { what, index, from: [...places[what][index]] };
      group.setPointerCapture(event.pointerId);
      group.classList.add("held");
      group.focus({ preventScroll: true });
      event.preventDefault();
    });
    group.addEventListener("pointermove", event => {
      if (!held || held.what !== what || held.index !== index) return;
      const box = svg.getBoundingClientRect();
      put(what, index, (event.clientX - box.left - EDGE) / scale, data.depth_m - (event.clientY - box.top - EDGE) / scale);
      tell(false);
    });
    const drop = event => {
      if (!held || held.what !== what || held.index !== index) return;
      group.classList.remove("held");
      const moved = String(held.from) !== String(places[what][index]);
      if (event.type === "pointercancel") put(what, index, ...held.from);
      if (moved) { tell(true); say(what, index); }
      held = null;
    };
    group.addEventListener("pointerup", drop);
    group.addEventListener("pointercancel", drop);
    group.addEventListener("keydown", event => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!by) return;
      event.preventDefault();
      const far = event.shiftKey ? FAST_M : STEP_M, [x, y] = places[what][index];
      held = { what, index };
      put(what, index, x + by[0] * far, y + by[1] * far);
      tell(false);
      held = null;
      say(what, index);
    });
    return group;
  }

  function say(what, index) {
    const [x, y] = places[what][index];
    spoken.textContent = `${word(what, index)} moved to ${nice(x)}, ${nice(y)} metres.`;
  }

  function heat() {
    const { nx, ny, dbm, holes_dbm, low_dbm, high_dbm, palette, hole } = data.heat, canvas = document.createElement("canvas");
    canvas.width = nx; canvas.height = ny;
    const paint = canvas.getContext("2d"), image = paint.createImageData(nx, ny);
    const rgb = palette.concat([hole]).map(hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)));
    for (let row = 0; row < ny; row++) for (let col = 0; col < nx; col++) {
      const value = dbm[row * nx + col], share = (value - low_dbm) / (high_dbm - low_dbm) * (palette.length - 1);
      const one = Math.min(Math.max(share, 0), palette.length - 1), low = Math.floor(one), part = one - low, to = 4 * ((ny - 1 - row) * nx + col);
      for (let c = 0; c < 3; c++)
        image.data[to + c] = value < holes_dbm ? rgb[palette.length][c] : rgb[low][c] + part * (rgb[Math.min(low + 1, palette.length - 1)][c] - rgb[low][c]);
      image.data[to + 3] = 255;
    }
    paint.putImageData(image, 0, 0);
    if (!layers.heat.firstChild) make("image", layers.heat, { preserveAspectRatio: "none" });
    const picture = layers.heat.firstChild;
    picture.setAttribute("href", canvas.toDataURL());
    picture.setAttribute("width", data.width_m * scale);
    picture.setAttribute("height", data.depth_m * scale);
    key.querySelector(".ramp").style.background = `linear-gradient(to right, ${palette.join(",")})`;
    key.querySelector(".hole").style.background = hole;
    key.querySelector(".low").textContent = `${low_dbm} dBm`.replace("-", "\u2212");
    key.querySelector(".high").textContent = `${high_dbm} dBm`.replace("-", "\u2212");
    key.querySelector(".word").textContent = `hole, below ${holes_dbm} dBm`.replace("-", "\u2212");
  }

  function walls() {
    layers.walls.replaceChildren();
    data.walls.forEach(([x0, y0, x1, y1, loss]) => {
      const [[left, top], [right, bottom]] = [at([x0, y0]), at([x1, y1])];
      for (const [name, wider] of [["halo", 2.5], ["wall", 0]])
        make("line", layers.walls, { class: name, x1: left, y1: top, x2: right, y2: bottom, "stroke-width": 1.5 + Math.min(loss, 20) / 6 + wider });
    });
  }

  function draw() {
    if (!data) return;
    scale = Math.min(((root.clientWidth || 320) - 2 * EDGE) / data.width_m, (TALLEST - 2 * EDGE) / data.depth_m);
    const width = data.width_m * scale + 2 * EDGE, height = data.depth_m * scale + 2 * EDGE;
    svg.setAttribute("viewBox", `${-EDGE} ${-EDGE} ${width} ${height}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    heat();
    walls();
    root.classList.toggle("drawn-anew", !data.fixed);
    for (const what of ["users", "radios"]) {
      if (marks[what].length !== data[what].length) {
        layers[what].replaceChildren();
        marks[what] = data[what].map((_, index) => mark(what, index));
      }
      if (what === "radios") marks.radios.forEach((node, index) => node.classList.toggle("silent", !data.sending.includes(index)));
      data[what].forEach((place, index) => {
        if (!(held && held.what === what && held.index === index)) places[what][index] = [...place];
        stand(what, index);
      });
      places[what].length = data[what].length;
    }
  }

  svg.addEventListener("pointermove", event => {
    if (!data) return;
    const box = svg.getBoundingClientRect(), { nx, ny, dbm, best } = data.heat;
    const x = (event.clientX - box.left - EDGE) / scale, y = data.depth_m - (event.clientY - box.top - EDGE) / scale;
    if (x < 0 || y < 0 || x > data.width_m || y > data.depth_m) { readout.textContent = data.said; return; }
    const col = Math.min(nx - 1, Math.max(0, Math.floor(x / data.width_m * nx))), row = Math.min(ny - 1, Math.max(0, Math.floor(y / data.depth_m * ny)));
    readout.textContent = `${nice(x)}, ${nice(y)} m: ${dbm[row * nx + col]} dBm from radio ${best[row * nx + col] + 1}`.replace(": -", ": \u2212");
  });
  svg.addEventListener("pointerleave", () => { readout.textContent = data ? data.said : ""; });
  new ResizeObserver(draw).observe(root);
  return (fresh, sender) => {
    data = fresh; send = sender; readout.textContent = data.said;
    svg.setAttribute("aria-label", data.label);
    draw();
  };
}

export default function (component) {
  const { parentElement, data, setTriggerValue } = component, root = parentElement.querySelector(".plan");
  root.update = root.update || plan(root);
  root.update(data, value => setTriggerValue("moved", value));
}
