// Keeps what is marked with data-refresh (in seconds) up to date; the page works without it.
for (const part of document.querySelectorAll("[data-refresh]")) {
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (answer.ok && fresh) {
        part.replaceChildren(...fresh.childNodes);
        if (!fresh.dataset.refresh) return;
      }
    } catch {} // the service may be away for a moment
    setTimeout(again, 1000 * part.dataset.refresh);
  };
  setTimeout(again, 1000 * part.dataset.refresh);
}
