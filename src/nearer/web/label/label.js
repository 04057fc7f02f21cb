// Keys press the buttons that name them; the page works without this.
let isSent = false;
for (const form of document.querySelectorAll("form")) form.addEventListener("submit", () => { isSent = true; });
addEventListener("pageshow", () => { isSent = false; }); // also when the browser shows the page again from its memory
addEventListener("keydown", (event) => {
  if (isSent || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=hidden])")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "?") {
    const guideline = document.getElementById("guideline");
    if (!guideline) return;
    event.preventDefault();
    guideline.open = !guideline.open;
    guideline.querySelector("summary").focus();
    return;
  }
  const button = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button) {
    event.preventDefault();
    button.click();
  }
});
