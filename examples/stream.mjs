// Emotions of live speech, from a browser or Node 22 (Node 20: --experimental-websocket).
// node examples/stream.mjs clip.wav [ws://127.0.0.1:8080/v1/stream]   (a WAV file: 16-bit, mono)
export function stream(url, start, onSegment) {
  const socket = new WebSocket(url);
  const said = (message) => socket.send(JSON.stringify(message));
  let ready;
  const begun = new Promise((resolve) => (ready = resolve));
  socket.onopen = () => said({ type: "start", ...start });
  const done = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "ready") ready();
      else if (message.type === "segment") onSegment(message);
      else if (message.type === "done") resolve(message);
      else reject(new Error(message.problem.detail));
    };
    socket.onclose = ({ code, reason }) => reject(new Error(reason || `closed with ${code}`));
    socket.onerror = () => reject(new Error(`${url} cannot be reached`));
  });
  // In a browser: recorder.ondataavailable = (event) => send(event.data), with start = { encoding: "opus" }.
  return { begun, done, send: (chunk) => socket.send(chunk), finish: () => said({ type: "finish" }) };
}

if (globalThis.process?.argv[2]) {
  const wav = (await import("node:fs")).readFileSync(process.argv[2]);
  const url = process.argv[3] ?? "ws://127.0.0.1:8080/v1/stream";
  const live = stream(url, { sample_rate: wav.readUInt32LE(24) }, (s) => console.log(s.final, s.start, s.end, s.label));
  live.begun.then(() => (live.send(wav.subarray(44)), live.finish()));
  await live.done.then(console.log, (error) => (console.error(error.message), (process.exitCode = 1)));
}
