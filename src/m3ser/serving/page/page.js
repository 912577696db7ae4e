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
}
