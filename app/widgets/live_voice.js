// Live mode: the microphone to the studio and back, heard and seen. It speaks to the server it came from and to nobody else, and keeps nothing.
const POINTS = 1024, COLUMNS_PER_S = 50, SHOWN_S = 8, ROWS = 128, TOP_HZ = 12000, RANGE_DB = 65, FLOOR_DB = -90, QUIET_SHARE = 0.1, PAUSES_AFTER_S = 3;

const WHY = {
  NotAllowedError: "The browser was not allowed to use the microphone; allow it in the address bar and press the button again.",
  NotFoundError: "There is no microphone at this machine; plug one in and press the button again.",
  NotReadableError: "The microphone is in use by another program; close that one and press the button again.",
  insecure: "The browser gives the microphone only to a studio opened as localhost or over https; open it on the machine it runs on.",
  lost: "The studio no longer answers; see whether it is still running and press the button again.",
};
const minutes = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// Magnitudes of a windowed frame in dB, POINTS / 2 of them: radix-2 in place.
class Spectrum {
  constructor() {
    this.window = Float32Array.from({ length: POINTS }, (_, n) => (0.5 - 0.5 * Math.cos(2 * Math.PI * n / POINTS)) * 4 / POINTS);
    this.turn = Array.from({ length: POINTS / 2 }, (_, n) => [Math.cos(2 * Math.PI * n / POINTS), -Math.sin(2 * Math.PI * n / POINTS)]);
    const bits = Math.log2(POINTS);
    this.place = Array.from({ length: POINTS }, (_, n) => parseInt(n.toString(2).padStart(bits, "0").split("").reverse().join(""), 2));
    this.re = new Float32Array(POINTS);
    this.im = new Float32Array(POINTS);
  }

  of(frame) {
    const { re, im } = this;
    for (let n = 0; n < POINTS; n++) { re[this.place[n]] = frame[n] * this.window[n]; im[n] = 0; }
    for (let size = 2; size <= POINTS; size *= 2) {
      for (let start = 0; start < POINTS; start += size) {
        for (let n = 0; n < size / 2; n++) {
          const [c, s] = this.turn[n * POINTS / size], a = start + n, b = a + size / 2;
          const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
          re[b] = re[a] - x; im[b] = im[a] - y; re[a] += x; im[a] += y;
        }
      }
    }
    return Float32Array.from({ length: POINTS / 2 }, (_, n) => 10 * Math.log10(re[n] ** 2 + im[n] ** 2 + 1e-12));
  }
}

// A spectrogram that runs from right to left, one column per hop; `loudest` is shared, so that two strips mean the same by a colour.
class Strip {
  constructor(canvas, palette, rate, loudest) {
    Object.assign(this, { palette, rate, loudest, hop: Math.round(rate / COLUMNS_PER_S), held: new Float32Array(POINTS), kept: 0, levels: [] });
    canvas.width = SHOWN_S * COLUMNS_PER_S;
    canvas.height = ROWS;
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.column = this.pen.createImageData(1, ROWS);
    this.clear();
  }

  clear() {
    this.pen.fillStyle = `rgb(${this.palette[0]})`;
    this.pen.fillRect(0, 0, this.canvas.width, ROWS);
  }

  // The next hop of sound.
  add(sound, spectrum) {
    this.held.copyWithin(0, this.hop);
    this.held.set(sound, POINTS - this.hop);
    const db = spectrum.of(this.held), bins = TOP_HZ / this.rate * POINTS / ROWS, image = this.column.data;
    this.loudest.db = Math.max(this.loudest.db - 0.02, db.reduce((a, b) => Math.max(a, b)), -60);
    for (let row = 0; row < ROWS; row++) {
      const from = Math.floor(row * bins), level = Math.max(db[from], db[Math.min(POINTS / 2 - 1, Math.ceil((row + 1) * bins) - 1)]);
      const colour = this.palette[Math.round(255 * Math.min(1, Math.max(0, 1 + (level - this.loudest.db) / RANGE_DB)))];
      image.set([...colour, 255], 4 * (ROWS - 1 - row));
    }
    this.pen.drawImage(this.canvas, -1, 0);
    this.pen.putImageData(this.column, this.canvas.width - 1, 0);
    const power = sound.reduce((sum, value) => sum + value * value, 0) / sound.length;
    this.levels.push(Math.max(FLOOR_DB, 10 * Math.log10(power + 1e-12)));
    if (this.levels.length > SHOWN_S * COLUMNS_PER_S) this.levels.shift();
  }

  // The level of the pauses: what the quietest tenth of the last seconds stays below.
  get quiet() {
    return [...this.levels].sort((a, b) => a - b)[Math.floor(QUIET_SHARE * this.levels.length)];
  }
}

// Sound that has come and is not drawn yet.
class Waiting {
  constructor() { this.parts = []; this.samples = 0; }
  put(part) { this.parts.push(part); this.samples += part.length; }
  take(count) {
    const taken = new Float32Array(count);
    for (let at = 0; at < count;) {
      const part = this.parts[0].subarray(0, count - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === this.parts[0].length) this.parts.shift(); else this.parts[0] = this.parts[0].subarray(part.length);
    }
    this.samples -= count;
    return taken;
  }
}

class Live {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = name => root.querySelector(name);
    this.find(".live").classList.toggle("light", data.mode === "light");
    this.palette = Array.from({ length: 256 }, (_, n) => {
      const at = n / 255 * (data.palette.length - 1), low = Math.min(Math.floor(at), data.palette.length - 2);
      return data.palette[low].map((value, channel) => Math.round(value + (at - low) * (data.palette[low + 1][channel] - value)));
    });
    this.spectrum = new Spectrum();
    this.axes();
    this.find(".main").onclick = () => this.state === "on" ? this.stop(this.data.words) : this.start();
    this.find(".instead").onclick = () => this.start(true);
    this.choices = [...root.querySelectorAll(".hear button")];
    this.choices.forEach((button, index) => {
      button.onclick = () => this.choose(button.dataset.hear);
      button.onkeydown = event => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const next = this.choices[(index + by + this.choices.length) % this.choices.length];
        this.choose(next.dataset.hear);
        next.focus();
      };
    });
    this.choose("silent");
    this.enter("off", data.words);
  }

  axes() {
    for (const box of this.root.querySelectorAll(".hertz")) {
      box.replaceChildren(...[0, 4, 8, 12].map(khz => {
        const mark = document.createElement("span");
        mark.textContent = khz ? `${khz} kHz` : "0";
        mark.style.top = `${Math.min(93, Math.max(7, 100 - 100 * khz * 1000 / TOP_HZ))}%`;
        return mark;
      }));
    }
    this.find(".clock").replaceChildren(...[8, 6, 4, 2, 0].map(ago => {
      const mark = document.createElement("span");
      mark.textContent = ago ? `${ago} s ago` : "now";
      mark.style.left = `${Math.min(97, Math.max(4, 100 - 100 * ago / SHOWN_S))}%`;
      return mark;
    }));
  }

  enter(state, words, fault = false) {
    this.state = this.find(".live").dataset.state = state;
    this.find(".main span").textContent = { off: "Start the microphone", starting: "Getting ready", on: "Stop", over: "Start the microphone" }[state];
    this.find(".main").disabled = state === "starting";
    this.find(".said").textContent = words;
    this.find(".said").classList.toggle("fault", fault);
    if (state !== "on") this.find(".left").textContent = "";
    if (state !== "over") this.find(".instead").hidden = true;
  }

  choose(hear) {
    this.hear = this.find(".live").dataset.hear = hear;
    this.choices.forEach(button => {
      button.setAttribute("aria-checked", button.dataset.hear === hear);
      button.tabIndex = button.dataset.hear === hear ? 0 : -1;
    });
    if (this.node) this.node.port.postMessage({ hear });
    if (this.state === "on") this.find(".said").textContent = this.words();
  }

  words() {
    const what = this.stream ? "your voice" : "the recording";
    return {
      silent: this.stream ? "Speak: you see your voice restored. To hear it, put on headphones and choose Restored." : "You see the recording restored. To hear it, choose Restored.",
      raw: `You hear: ${what} as it comes in, as late as the restored one.`,
      made: `You hear: ${what} restored.`,
    }[this.hear];
  }

  // From the microphone, or (where that cannot be had) from the recording on the desk.
  async start(sample = false) {
    if (!window.isSecureContext || !navigator.mediaDevices || !window.AudioWorkletNode) return this.enter("over", WHY.insecure, true);
    this.enter("starting", sample ? "The first start takes a few seconds." : "Allow the microphone if the browser asks. The first start takes a few seconds.");
    this.choose(sample ? "made" : "silent");
    const turn = this.turn = {};
    try {
      await (sample ? this.openSample() : this.openMicrophone());
      await this.wire();
      if (this.turn === turn) this.connect(turn);
      else this.release();
    } catch (error) {
      if (this.turn !== turn) return;
      this.stop(WHY[error.name] || `The microphone could not be opened (${error.name}); choose another one in the browser and press the button again.`, true);
      this.find(".instead").hidden = !this.data.sample;
    }
  }

  // A browser that cannot bring the microphone to 48 kHz keeps its own rate, and the studio follows.
  async openMicrophone() {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    try {
      this.audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
      this.source = this.audio.createMediaStreamSource(this.stream);
    } catch {
      this.audio = new AudioContext({ latencyHint: "interactive" });
      this.source = this.audio.createMediaStreamSource(this.stream);
    }
    this.stream.getAudioTracks()[0].onended = () => this.stop("The microphone was taken away; plug it in and press the button again.", true);
  }

  async openSample() {
    this.audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    const sound = Uint8Array.from(atob(this.data.sample.split(",")[1]), letter => letter.charCodeAt(0)).buffer;
    this.source = this.audio.createBufferSource();
    this.source.buffer = await this.audio.decodeAudioData(sound);
    this.source.loop = true;
    this.source.start();
  }

  // Source -> worklet -> loudspeaker.
  async wire() {
    const code = URL.createObjectURL(new Blob([this.data.worklet], { type: "text/javascript" }));
    await this.audio.audioWorklet.addModule(code);
    URL.revokeObjectURL(code);
    this.node = new AudioWorkletNode(this.audio, "live-voice", { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.fromWorklet(data);
    this.source.connect(this.node).connect(this.audio.destination);
    await this.audio.resume();
  }

  connect(turn) {
    const socket = this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.data.path}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ rate_hz: this.audio.sampleRate }));
    socket.onmessage = ({ data }) => {
      if (this.turn !== turn) return;
      if (typeof data !== "string") return this.restored(data);
      const told = JSON.parse(data);
      if (told.ready) this.run(told.ready);
      else this.stop(told.over, told.fault);
    };
    socket.onclose = () => { if (this.turn === turn) this.stop(WHY.lost, true); };
  }

  run(ready) {
    const rate = this.audio.sampleRate, loudest = { db: -60 };
    this.strips = { raw: new Strip(this.find("canvas.raw"), this.palette, rate, loudest), made: new Strip(this.find("canvas.made"), this.palette, rate, loudest) };
    this.waiting = { raw: new Waiting(), made: new Waiting() };
    this.spent = [];
    this.until = performance.now() + 1000 * ready.seconds;
    this.node.port.postMessage({ run: true, hear: this.hear });
    this.enter("on", "");
    this.choose(this.hear);
    const frame = () => { this.draw(); this.frame = requestAnimationFrame(frame); };
    this.frame = requestAnimationFrame(frame);
    this.clock = setInterval(() => this.tick(), 500);
  }

  fromWorklet(data) {
    if (this.state !== "on") return;
    if (data.packet) {
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data.packet);
      this.waiting.raw.put(data.packet);
    } else {
      this.behind = data;
    }
  }

  restored(data) {
    if (this.state !== "on") return;
    const [core, sound] = new Float32Array(data, 0, 2), made = new Float32Array(data, 8);
    this.spent.push([core, sound]);
    if (this.spent.length > 40) this.spent.shift();
    this.waiting.made.put(made);
    this.node.port.postMessage({ made });
  }

  // Both strips move together: a column is drawn once its restored sound is there; what a hidden page has missed and has run out already is left out.
  draw() {
    const hop = this.strips.raw.hop, here = () => Math.min(this.waiting.raw.samples, this.waiting.made.samples);
    while (here() >= hop) {
      const gone = here() > SHOWN_S * this.audio.sampleRate;
      for (const kind of ["raw", "made"]) {
        const sound = this.waiting[kind].take(hop);
        if (!gone) this.strips[kind].add(sound, this.spectrum);
      }
    }
  }

  tick() {
    document.dispatchEvent(new Event("somebody-here"));
    const left = (this.until - performance.now()) / 1000, node = this.find(".live");
    let late = "";
    if (this.behind) {
      const output = this.audio.outputLatency || this.audio.baseLatency || 0;
      late = `${(this.behind.behind + output).toFixed(2)}\u00a0s`;
      this.find(".behind").textContent = late;
      Object.assign(node.dataset, { behind: this.behind.behind.toFixed(4), output: output.toFixed(4), gaps: this.behind.gaps, skips: this.behind.skips });
    }
    this.find(".left").textContent = `${late && `${late} behind, `}${minutes(Math.max(0, left))} left`;
    const [core, sound] = this.spent.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    if (sound) {
      this.find(".cost").textContent = `${(core / sound).toFixed(2)}\u00a0s`;
      node.dataset.cost = (core / sound).toFixed(4);
    }
    const { raw, made } = this.strips;
    if (made.levels.length > PAUSES_AFTER_S * COLUMNS_PER_S) {
      this.find(".pauses").textContent = `${Math.round(raw.quiet - made.quiet)}\u00a0dB`.replace("-", "\u2212");
      node.dataset.quieter = (raw.quiet - made.quiet).toFixed(1);
    }
  }

  stop(words, fault = false) {
    this.turn = null;
    cancelAnimationFrame(this.frame);
    clearInterval(this.clock);
    this.release();
    this.enter("over", words, fault);
  }

  release() {
    if (this.socket) this.socket.close();
    if (this.stream) this.stream.getTracks().forEach(track => { track.onended = null; track.stop(); });
    if (this.audio) this.audio.close();
    this.socket = this.stream = this.audio = this.source = this.node = null;
  }
}

export default function (component) {
  const { parentElement: root, data } = component;
  root.live = root.live || new Live(root, data);
  // Streamlit keeps the last clean-up it was given, so every call gives it.
  return () => { if (root.live) root.live.stop(""); root.live = null; };
}
