// The sound of live mode on the audio thread: what the microphone gives goes into one ring and out as packets, what comes back goes into the other.
// Both are played from the same place, so that switching changes the sound and not the time. The place keeps the smallest distance at which nothing is missing.
const RING_S = 8, PACKET_S = 0.01, FADE_S = 0.005, CUSHION_S = 0.02, WATCH_S = 4, FAR_S = 0.6, HURRY_S = 1, TOLD_EVERY_S = 0.1;

class LiveVoice extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = Math.round(RING_S * sampleRate);
    this.raw = new Float32Array(this.ring);
    this.made = new Float32Array(this.ring);
    this.packet = new Float32Array(Math.round(PACKET_S * sampleRate));
    this.hear = "silent";
    this.gain = { raw: 0, made: 0 };
    this.step = 1 / (FADE_S * sampleRate);
    this.running = false;
    this.port.onmessage = ({ data }) => this.told(data);
  }

  told(data) {
    if (data.hear) this.hear = data.hear;
    if (data.run) Object.assign(this, { running: true, captured: 0, have: 0, at: 0, filled: 0, hold: 0, ahead: Infinity, watched: 0, since: 0, gaps: 0, skips: 0, toTell: 0 });
    if (data.made) {
      if (this.have > 0) this.ahead = Math.min(this.ahead, this.have - this.at);
      for (const value of data.made) this.made[this.have++ % this.ring] = value;
    }
  }

  process(inputs, outputs) {
    if (!this.running) return true;
    const output = outputs[0][0], input = inputs[0][0];
    for (let n = 0; n < output.length; n++) this.capture(input ? input[n] : 0);
    for (let n = 0; n < output.length; n++) output[n] = this.play();
    this.toTell += output.length;
    if (this.toTell >= TOLD_EVERY_S * sampleRate) this.tell();
    return true;
  }

  capture(value) {
    this.raw[this.captured++ % this.ring] = value;
    this.packet[this.filled++] = value;
    if (this.filled < this.packet.length) return;
    const packet = this.packet;
    this.packet = new Float32Array(packet.length);
    this.filled = 0;
    this.port.postMessage({ packet }, [packet.buffer]);
  }

  // One sample from the place, faded where what is restored runs out or begins again; nothing restored: the place waits.
  play() {
    const ready = this.have - this.at;
    if (ready <= 0) {
      if (this.since > 0) this.gaps++;
      this.hold = Math.round(CUSHION_S * sampleRate);
      this.since = 0;
      return 0;
    }
    if (this.hold > 0) {
      this.hold--;
      return 0;
    }
    if (++this.watched > (this.captured - this.at > FAR_S * sampleRate ? HURRY_S : WATCH_S) * sampleRate) this.catchUp();
    const at = this.at++ % this.ring, edge = Math.min(1, ready * this.step, ++this.since * this.step);
    for (const kind of ["raw", "made"]) {
      const wanted = this.hear === kind ? 1 : 0, gain = this.gain[kind];
      this.gain[kind] = gain < wanted ? Math.min(1, gain + this.step) : Math.max(0, gain - (gain > wanted ? this.step : 0));
    }
    return edge * (this.gain.raw * this.raw[at] + this.gain.made * this.made[at]);
  }

  // Where more than the cushion was left over all the time, the place moves on: sooner where it is far behind.
  catchUp() {
    const cushion = Math.round(CUSHION_S * sampleRate), spare = this.ahead - cushion;
    if (Number.isFinite(spare) && spare > cushion / 2) {
      this.at += spare;
      this.since = 0;
      this.skips++;
    }
    this.ahead = Infinity;
    this.watched = 0;
  }

  tell() {
    this.port.postMessage({ behind: (this.captured - this.at) / sampleRate, gaps: this.gaps, skips: this.skips });
    this.toTell = 0;
  }
}

registerProcessor("live-voice", LiveVoice);
