// Plays takes of one recording in step: all run at once, one is let through. Everything it plays and draws comes with `data`; it asks nobody for anything.
const FADE_S = 0.015, LOOK_AHEAD_S = 0.03;

const element = (name, className, text, parent) => {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return parent.appendChild(node);
};
const clock = seconds => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const bytes = address => Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), letter => letter.charCodeAt(0)).buffer;

class Player {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = name => root.querySelector(name);
    this.at = 0;
    this.sources = [];
    this.heard = data.right;
    this.axes();
    this.buttons();
    this.find(".left").alt = data.alt;
    this.find(".place").max = data.seconds;
    this.find(".play").onclick = () => this.playing ? this.pause() : this.play();
    this.find(".place").oninput = event => this.seek(Number(event.target.value));
    this.find(".divide").oninput = event => this.divide(Number(event.target.value) / 1000);
    this.choose(data.right);
    this.divide(0.5);
    this.show();
  }

  axes() {
    const hertz = this.find(".hertz"), time = this.find(".clock"), top = this.data.top_hz;
    hertz.replaceChildren();
    time.replaceChildren();
    for (let khz = 0; khz * 1000 <= top; khz += top > 12000 ? 8 : 2) {
      const mark = element("span", "", khz ? `${khz} kHz` : "0", hertz), share = 1 - khz * 1000 / top;
      mark.style.top = `${Math.min(96, Math.max(4, 100 * share))}%`;
    }
    const step = [0.5, 1, 2, 5, 10, 30, 60, 300].find(s => this.data.seconds / s <= 8) || 600;
    for (let at = 0; at <= this.data.seconds; at += step) {
      const mark = element("span", "", `${at} s`, time);
      mark.style.left = `${Math.min(97, Math.max(2, 100 * at / this.data.seconds))}%`;
    }
  }

  buttons() {
    const box = this.find(".tracks");
    box.replaceChildren();
    this.choices = this.data.tracks.map((track, index) => {
      const button = element("button", track.role, track.name, box);
      button.type = "button";
      button.setAttribute("role", "radio");
      if (track.words) element("small", "", track.words, button);
      button.onclick = () => this.choose(track.key);
      button.onkeydown = event => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const next = (index + by + this.data.tracks.length) % this.data.tracks.length;
        this.choose(this.data.tracks[next].key);
        this.choices[next].focus();
      };
      return button;
    });
  }

  track(key) {
    return this.data.tracks.find(track => track.key === key);
  }

  // Listen to a take; it stands at the right of the wipe, the input (or the restored take, when the input is heard) at the left.
  choose(key) {
    this.heard = key;
    const left = this.track(key === this.data.left ? this.data.right : this.data.left), right = this.track(key);
    const [first, second] = key === this.data.left ? [right, left] : [left, right];
    this.find(".left").src = first.picture;
    this.find(".right").src = second.picture;
    this.find(".name-left").textContent = first.name;
    this.find(".name-right").textContent = second.name;
    this.data.tracks.forEach((track, index) => {
      this.choices[index].setAttribute("aria-checked", track.key === key);
      this.choices[index].tabIndex = track.key === key ? 0 : -1;
    });
    this.root.querySelector(".player").dataset.heard = key;
    if (this.playing) this.sources.forEach(({ key: own, gain }) => gain.gain.setTargetAtTime(own === key ? 1 : 0, this.audio.currentTime, FADE_S));
    this.find(".said").textContent = `You hear: ${right.name}${right.words ? ", " + right.words : ""}`;
  }

  divide(share) {
    this.find(".right").style.clipPath = `inset(0 0 0 ${100 * share}%)`;
    this.find(".wipe").style.left = `${100 * share}%`;
    this.find(".divide").value = Math.round(1000 * share);
    this.find(".divide").setAttribute("aria-valuetext", `${this.find(".name-left").textContent} over ${Math.round(100 * share)} % of the width`);
  }

  async load() {
    if (this.buffers) return;
    this.audio = new AudioContext({ sampleRate: 48000 });
    this.find(".play").disabled = true;
    this.buffers = await Promise.all(this.data.tracks.map(track => this.audio.decodeAudioData(bytes(track.sound))));
    this.find(".play").disabled = false;
  }

  async play() {
    await this.load();
    await this.audio.resume();
    if (this.at >= this.data.seconds - 0.05) this.at = 0;
    const when = this.audio.currentTime + LOOK_AHEAD_S;
    this.sources = this.data.tracks.map((track, index) => {
      const source = this.audio.createBufferSource(), gain = this.audio.createGain();
      source.buffer = this.buffers[index];
      gain.gain.value = track.key === this.heard ? 1 : 0;
      source.connect(gain).connect(this.audio.destination);
      source.start(when, this.at);
      return { key: track.key, source, gain };
    });
    this.playing = true;
    this.root.querySelector(".player").dataset.playing = "true";
    this.find(".play").classList.add("playing");
    this.find(".play span").textContent = "Pause";
    const from = this.at;
    const tick = () => {
      if (!this.playing) return;
      this.at = Math.min(this.data.seconds, from + Math.max(0, this.audio.currentTime - when));
      this.show();
      if (this.at >= this.data.seconds) this.pause();
      else this.timer = requestAnimationFrame(tick);
    };
    this.timer = requestAnimationFrame(tick);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.sources.forEach(({ source }) => source.stop());
    this.sources = [];
    this.playing = false;
    this.root.querySelector(".player").dataset.playing = "false";
    this.find(".play").classList.remove("playing");
    this.find(".play span").textContent = "Play";
  }

  seek(seconds) {
    const again = this.playing;
    if (again) this.pause();
    this.at = seconds;
    this.show();
    if (again) this.play();
  }

  show() {
    this.find(".head").style.left = `${100 * this.at / this.data.seconds}%`;
    this.find(".place").value = this.at;
    this.find(".place").setAttribute("aria-valuetext", `${this.at.toFixed(1)} of ${this.data.seconds.toFixed(1)} seconds`);
    this.find(".time").textContent = `${clock(this.at)} / ${clock(this.data.seconds)}`;
    this.root.querySelector(".player").dataset.at = this.at.toFixed(2);
  }

  end() {
    this.pause();
    if (this.audio) this.audio.close();
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
