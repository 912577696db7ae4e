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

  // Whoever asks while a recording is still on its way means that recording: the question waits for it.
  const SETTLES = 250; // ms, in which Gradio takes over what has arrived
  const fetched = window.fetch;
  let arriving = 0;
  let asked = false;
  const button = () => document.getElementById("m3-button");
  const arrived = () => {
    arriving -= 1;
    button()?.removeAttribute("aria-busy");
    if (arriving === 0 && asked) {
      asked = false;
      button()?.click();
    }
  };
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    if (!/\/gradio_api\/upload(\?|$)/.test(address)) return fetched(...request);
    arriving += 1;
    button()?.setAttribute("aria-busy", "true");
    try {
      return await fetched(...request);
    } finally {
      setTimeout(arrived, SETTLES);
    }
  };
  const wait = (event) => {
    if (arriving === 0) return;
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
