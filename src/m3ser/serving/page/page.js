() => {
  // What changes by itself is announced: Gradio's elements stay, and only what is in them is replaced.
  const announce = (id, role) => {
    const element = document.getElementById(id);
    if (element) {
      element.setAttribute("role", role);
      element.setAttribute("aria-live", "polite");
    }
  };
  announce("m3-said", "status");

  // Whoever asks while a recording is still on its way means that recording: the question waits until Gradio has taken
  // it over, which layout.py tells with an event after the last answer was taken away.
  const LATEST = 10_000; // ms after which an uploaded recording is not waited for any more
  const fetched = window.fetch;
  const arriving = new Set();
  let asked = false;
  const button = () => document.getElementById("m3-button");
  const arrived = (uploads) => {
    for (const upload of uploads) arriving.delete(upload);
    if (arriving.size > 0) return;
    button()?.removeAttribute("aria-busy");
    if (asked) {
      asked = false;
      button()?.click();
    }
  };
  document.addEventListener("m3-taken", () => arrived([...arriving].filter((upload) => upload.sent)));
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    if (!/\/gradio_api\/upload(\?|$)/.test(address)) return fetched(...request);
    const upload = { sent: false };
    arriving.add(upload);
    button()?.setAttribute("aria-busy", "true");
    let wait = 0; // a refused recording is not taken over
    try {
      const response = await fetched(...request);
      if (response.ok) wait = LATEST;
      return response;
    } finally {
      upload.sent = true;
      setTimeout(() => arriving.has(upload) && arrived([upload]), wait);
    }
  };
  const wait = (event) => {
    if (arriving.size === 0) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    asked = true;
  };
  document.addEventListener("click", (event) => event.target.closest?.("#m3-button") && wait(event), true);
  document.addEventListener(
    "keydown",
    (event) => event.key === "Enter" && event.target.closest?.("#m3-words") && wait(event),
    true,
  );
}
