// Live mode: the microphone's sound goes to /v1/stream (docs/streaming.md), what it sounds like comes back.
const button = element.querySelector(".m3-talk");
const status = element.querySelector(".m3-status");
const rows = element.querySelector(".m3-live");
const links = element.querySelector(".m3-links");
const keyField = element.querySelector(".m3-key");
const colours = JSON.parse(element.querySelector(".m3-live").dataset.colours);

// 16-bit samples, a tenth of a second at a time.
const WORKLET = `registerProcessor("m3-capture", class extends AudioWorkletProcessor {
  constructor() { super(); this.kept = new Int16Array(Math.ceil(sampleRate / 10)); this.count = 0; }
  process([input]) {
    for (const sample of input[0] ?? []) {
      this.kept[this.count++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.count === this.kept.length) {
        this.port.postMessage(this.kept.slice().buffer);
        this.count = 0;
      }
    }
    return true;
  }
});`;

let session = null;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function piece(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function row(segment) {
  const made = piece("li", "", segment.final ? "final" : "provisional");
  const emotion = document.createElement("span");
  const swatch = piece("span", "", "m3-swatch");
  swatch.style.background = colours[segment.label] ?? colours.other;
  swatch.setAttribute("aria-hidden", "true");
  const share = ` ${Math.round(100 * segment.scores[segment.label])}% `;
  emotion.append(swatch, piece("b", segment.label), share);
  if (!segment.final) emotion.append(piece("span", "so far", "m3-source"));
  const words = document.createElement("span");
  if (segment.text) words.append(piece("q", segment.text));
  if (segment.note) words.append(piece("span", segment.note, "m3-source"));
  made.append(piece("time", clock(segment.start)), emotion, words);
  return made;
}

function show(segment, heard) {
  if (rows.lastChild?.className === "provisional") rows.lastChild.remove();
  rows.append(row(segment));
  if (segment.final) heard.push(segment);
}

async function release({ context, microphone }) {
  microphone?.getTracks().forEach((track) => track.stop());
  if (context && context.state !== "closed") await context.close();
}

function ended(mine, sentence) {
  release(mine);
  if (session !== mine) return;
  session = null;
  if (rows.lastChild?.className === "provisional") rows.lastChild.remove();
  status.textContent = sentence;
  button.textContent = "Start listening";
  button.setAttribute("aria-pressed", "false");
  if (mine.heard.length) server.links(mine.heard).then((html) => { links.innerHTML = html; });
}

async function begin() {
  rows.replaceChildren();
  links.replaceChildren();
  const mine = { heard: [] };
  session = mine;
  button.textContent = "Stop listening";
  button.setAttribute("aria-pressed", "true");
  status.textContent = "Waiting for the microphone\u2026";
  if (!navigator.mediaDevices) {
    return ended(mine, "Browsers let a page hear the microphone over https, or on this machine alone.");
  }
  try {
    mine.microphone = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    mine.context = new AudioContext();
    const module = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
    await mine.context.audioWorklet.addModule(module);
    URL.revokeObjectURL(module);
  } catch (error) {
    return ended(mine, `The microphone cannot be heard: ${error.message}`);
  }
  if (session !== mine) return release(mine); // stopped meanwhile
  const address = new URL("v1/stream", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = (mine.socket = new WebSocket(address));
  socket.onopen = () => socket.send(JSON.stringify({
    type: "start", encoding: "pcm_s16le", channels: 1, sample_rate: mine.context.sampleRate,
    transcribe: !element.querySelector(".m3-alone").checked, ...(keyField ? { api_key: keyField.value } : {}),
  }));
  let sentence = "The connection broke off.";
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "ready") {
      const capture = new AudioWorkletNode(mine.context, "m3-capture", { numberOfOutputs: 0 });
      capture.port.onmessage = ({ data: sound }) => {
        if (socket.readyState === WebSocket.OPEN && !mine.finishing) socket.send(sound);
      };
      mine.context.createMediaStreamSource(mine.microphone).connect(capture);
      status.textContent = "Listening. Speak.";
    } else if (message.type === "segment") show(message, mine.heard);
    else if (message.type === "problem") sentence = message.detail;
    else if (message.type === "done") sentence = mine.heard.length ? "Done." : "No speech was heard.";
  };
  socket.onclose = () => ended(mine, sentence);
}

function stop() {
  session.finishing = true;
  status.textContent = "Finishing\u2026";
  if (session.socket?.readyState === WebSocket.OPEN) session.socket.send(JSON.stringify({ type: "finish" }));
  else ended(session, "Stopped.");
}

button.addEventListener("click", () => (session ? stop() : begin()));
